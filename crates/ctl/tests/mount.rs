//! File systems that a test makes, cuts the power of, and takes away again.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Runs a command for its outcome.
pub fn sh(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// A file system that is unmounted when the test ends.
pub struct Mount {
    dir: PathBuf,
}

impl Mount {
    /// A new ext4 file system in a file of so many bytes, mounted.
    pub fn new_ext4(image: &Path, len: &str, dir: &Path) -> Result<Self, String> {
        sh("truncate", &["-s", len, text(image)])?;
        sh("mkfs.ext4", &["-q", "-F", text(image)])?;
        Self::ext4(image, dir)
    }

    /// An ext4 file system in a file.
    pub fn ext4(image: &Path, dir: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(dir).map_err(|error| error.to_string())?;
        sh("mount", &["-o", "loop", text(image), text(dir)])?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// A small file system in memory: it can be full, but not lose power.
    pub fn tmpfs(dir: &Path, size: &str) -> Result<Self, String> {
        std::fs::create_dir_all(dir).map_err(|error| error.to_string())?;
        sh("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs", text(dir)])?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Gets everything ready to cut the power at once.
    pub fn cutter(&self) -> Result<Cutter, String> {
        const SCRIPT: &str = "import fcntl, os, struct, sys\n\
            fd = os.open(sys.argv[1], os.O_RDONLY)\n\
            print('ready', flush=True)\n\
            sys.stdin.readline()\n\
            fcntl.ioctl(fd, 0x8004587D, struct.pack('I', 2))\n";
        let mut helper = Command::new("python3")
            .args(["-c", SCRIPT, text(&self.dir)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("python3: {error}"))?;
        let mut ready = String::new();
        let lines = helper.stdout.take().ok_or("it was piped")?;
        BufReader::new(lines).read_line(&mut ready).map_err(|error| error.to_string())?;
        Ok(Cutter { helper })
    }
}

/// Cuts the power: the file system forgets everything that was not synced (the shutdown ioctl of
/// ext4 without flushing its journal).
///
/// Only what was acknowledged before the cut begins was promised. A sync that is under way
/// meanwhile may return success though its pages were dropped (seen with Linux 6.18: another write
/// had failed already when it returned), which no real power cut could do.
pub struct Cutter {
    helper: Child,
}

impl Cutter {
    pub fn cut(mut self) -> Result<(), String> {
        // It reads to the end of a line or of everything.
        drop(self.helper.stdin.take());
        let status = self.helper.wait().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("the power was not cut: {status}")) }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _left_mounted = sh("umount", &["-l", text(&self.dir)]);
    }
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are text")
}
