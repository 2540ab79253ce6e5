//! Maintenance of the workspace: `cargo xtask` lists what it can do.
#![forbid(unsafe_code)]

mod arguments;
mod bench;
mod ci;
mod fuzz;
mod gates;
mod instructions;
mod layers;
mod process;
mod soak;
mod tidy;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use arguments::{Arguments, WrongUsage};

const USAGE: &str = "cargo xtask COMMAND

  ci                          everything that must be green before a change lands
  test                        tests of every crate, doc tests, crash lanes in release mode
  clippy                      lints, then the stricter list for library code
  layers                      dependencies follow the floor table
  tidy [--bless-format]       house rules; --bless-format records a documented format change
  docs                        API documentation, warnings denied
  deny                        licences, bans, sources and advisories of dependencies
  bench [CRATE]               criterion benchmarks
  versus [ARGS]               side by side with other engines (the benches/ workspace)
  soak --hours N | --minutes N [--lane NAME]
                              the fault campaign, or one lane of it; adds to its record
  instructions [--bless]      instructions of hot paths, compared or written down (valgrind)
  fuzz [TARGET] [--seconds N] fuzz one target or all, N seconds each (15)";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let outcome = enter_root().and_then(|()| dispatch(&command, Arguments::new(words)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<WrongUsage>() => {
            eprintln!("{error}\n\n{USAGE}");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("xtask {command}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Every path in here is relative to the root of the workspace.
fn enter_root() -> Result<()> {
    let Some(manifest) = std::env::var_os("CARGO_MANIFEST_DIR") else { return Ok(()) };
    let root = Path::new(&manifest).parent().context("xtask lies in the workspace")?;
    std::env::set_current_dir(root).with_context(|| root.display().to_string())
}

fn dispatch(command: &str, mut arguments: Arguments) -> Result<()> {
    let plain: fn() -> Result<()> = match command {
        "ci" => ci::run,
        "test" => gates::test,
        "clippy" => gates::clippy,
        "layers" => layers::check_workspace,
        "docs" => gates::docs,
        "deny" => gates::deny,
        "tidy" => {
            let bless = arguments.flag("--bless-format");
            arguments.finish()?;
            return if bless { tidy::bless_format() } else { tidy::check_workspace() };
        }
        "bench" => {
            let name = arguments.word();
            arguments.finish()?;
            return bench::bench(name.as_deref());
        }
        "instructions" => {
            let bless = arguments.flag("--bless");
            arguments.finish()?;
            return instructions::check(bless);
        }
        "versus" => return bench::versus(&arguments.rest()),
        "soak" => {
            let hours = arguments.number("--hours")?.map(|hours| hours.saturating_mul(60));
            let minutes = arguments.number("--minutes")?;
            let minutes = hours.or(minutes).ok_or(WrongUsage::missing("--hours N"))?;
            let lane = arguments.text("--lane")?;
            arguments.finish()?;
            return soak::soak(minutes, lane.as_deref());
        }
        "fuzz" => {
            let seconds = arguments.number("--seconds")?.unwrap_or(15);
            let target = arguments.word();
            arguments.finish()?;
            return fuzz::fuzz(target.as_deref(), seconds);
        }
        "" => return Err(WrongUsage::new("a command is needed").into()),
        other => return Err(WrongUsage::new(format!("there is no command `{other}`")).into()),
    };
    arguments.finish()?;
    plain()
}
