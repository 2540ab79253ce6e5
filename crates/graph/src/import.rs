//! Import of vertices and edges from comma-separated files: streamed, in commits of bounded
//! size, with progress and with the position of whatever is wrong. What was committed before an
//! error stays. Holds one window of edges.

mod columns;
mod pack;

use std::io::BufRead;

use columns::Header;
pub use columns::{EdgeColumns, NodeColumns};
use pack::Window;

use crate::csv::CsvReader;
use crate::record::encode_edge;
use crate::{Edge, EdgeId, Error, Graph, Label, Properties, Result, Vertex, VertexId};

/// How to import.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Vertices, or edges with ids of their own, in one commit; 0 counts as 1.
    pub batch: usize,
    /// Most edges in one window, which is one commit (0 counts as 1): the more of them share an
    /// end, the fewer keys they need. While a window of a million edges with one number each was
    /// committed, memory grew by 545 bytes an edge, 255 of which the index keeps until tables
    /// have them.
    pub window: usize,
    /// Leave out vertices that exist already, instead of refusing them.
    pub skip_existing: bool,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self { batch: 5_000, window: 1 << 20, skip_existing: false }
    }
}

/// How far an import has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Rows committed.
    pub row_count: u64,
    /// Bytes of the input read.
    pub read_len: u64,
    /// The revision of the last commit.
    pub revision: u64,
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportReport {
    /// Vertices or edges added.
    pub added: u64,
    /// Vertices left out because they exist.
    pub skipped: u64,
    /// Commits.
    pub commit_count: u64,
    /// The revision of the last one; 0 without any.
    pub revision: u64,
}

impl Graph {
    /// Imports vertices. The first row names the columns; a name may end in `:int`, `:float`,
    /// `:bool` or `:text`, else what looks like a number or a truth value is one. Empty fields
    /// are no properties. A vertex has the id that stands for the text of its id column
    /// ([`VertexId::named`]), and that text as a property.
    ///
    /// # Errors
    /// [`Error::Row`] with line and column; [`Error::Input`]; the engine's. Commits before stay.
    pub fn import_nodes(
        &self,
        input: impl BufRead,
        columns: &NodeColumns,
        options: &ImportOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<ImportReport> {
        let mut reader = CsvReader::new(input);
        let header = Header::read(&mut reader)?;
        let columns = columns.find(&header)?;
        let mut report = ImportReport::default();
        let mut rows: Vec<(u64, Vertex)> = Vec::new();
        let mut row_count = 0;
        loop {
            let row = reader.next_row()?;
            let is_end = row.is_none();
            if let Some(row) = row {
                header.check(&row)?;
                rows.push((row.line, columns.vertex(&header, &row)?));
            }
            if rows.len() >= options.batch.max(1) || (is_end && !rows.is_empty()) {
                self.commit_vertices(&rows, options, &mut report)?;
                row_count += rows.len() as u64;
                rows.clear();
                let revision = report.revision;
                progress(Progress { row_count, read_len: reader.read_len(), revision });
            }
            if is_end {
                return Ok(report);
            }
        }
    }

    fn commit_vertices(
        &self,
        rows: &[(u64, Vertex)],
        options: &ImportOptions,
        report: &mut ImportReport,
    ) -> Result<()> {
        let written = self.transact(|tx| {
            let mut skipped = 0;
            for (line, vertex) in rows {
                match tx.add_vertex(vertex) {
                    Ok(()) => {}
                    Err(Error::VertexExists { .. }) if options.skip_existing => skipped += 1,
                    Err(error) => return Err(at_line(*line, error)),
                }
            }
            Ok(skipped)
        })?;
        report.added += rows.len() as u64 - written.answer;
        report.skipped += written.answer;
        report.commit_count += 1;
        report.revision = written.revision;
        Ok(())
    }

    /// Imports edges between vertices that exist. Columns are named as for
    /// [`import_nodes`](Self::import_nodes). Edges get fresh ids, unless a column gives them:
    /// then they are stored one by one, which is slower.
    ///
    /// # Errors
    /// As [`import_nodes`](Self::import_nodes).
    pub fn import_edges(
        &self,
        input: impl BufRead,
        columns: &EdgeColumns,
        options: &ImportOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<ImportReport> {
        let mut reader = CsvReader::new(input);
        let header = Header::read(&mut reader)?;
        let columns = columns.find(&header)?;
        let mut loader = self.edge_loader(options);
        let mut committed = 0;
        while let Some(row) = reader.next_row()? {
            header.check(&row)?;
            let edge = columns.edge(&header, &row)?;
            loader.push(row.line, edge)?;
            if loader.report.commit_count != committed {
                committed = loader.report.commit_count;
                progress(loader.progress(reader.read_len()));
            }
        }
        loader.flush()?;
        progress(loader.progress(reader.read_len()));
        Ok(loader.report)
    }

    /// Adds many edges that a program has at hand, as an import does.
    #[must_use]
    pub fn edge_loader(&self, options: &ImportOptions) -> EdgeLoader<'_> {
        EdgeLoader {
            graph: self,
            options: options.clone(),
            window: Window::default(),
            singles: Vec::new(),
            report: ImportReport::default(),
        }
    }
}

/// An edge to be imported.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEdge {
    /// Its id; a fresh one when there is none.
    pub id: Option<EdgeId>,
    /// Where it begins.
    pub src: VertexId,
    /// Where it ends.
    pub dst: VertexId,
    /// Its label.
    pub label: Label,
    /// What is known about it.
    pub props: Properties,
}

/// Collects edges and commits them by the window. Dropping it leaves out what is not committed.
#[derive(Debug)]
pub struct EdgeLoader<'a> {
    graph: &'a Graph,
    options: ImportOptions,
    window: Window,
    singles: Vec<(u64, Edge)>,
    report: ImportReport,
}

impl EdgeLoader<'_> {
    /// Adds an edge, and commits a window that is full. `line` names the edge in errors.
    ///
    /// # Errors
    /// As [`Graph::import_edges`].
    pub fn push(&mut self, line: u64, edge: NewEdge) -> Result<()> {
        let NewEdge { id, src, dst, label, props } = edge;
        let record = encode_edge(&props).map_err(|error| at_line(line, error))?;
        match id {
            Some(id) => self.singles.push((line, Edge { id, src, dst, label, props })),
            None => self.window.push(line, src, dst, label, &record),
        }
        if self.singles.len() >= self.options.batch.max(1) {
            self.flush_singles()?;
        }
        if self.window.len() >= self.options.window.max(1) || self.window.is_full() {
            self.flush_window()?;
        }
        Ok(())
    }

    /// Commits everything added so far, and ends the import.
    ///
    /// # Errors
    /// As [`Graph::import_edges`].
    pub fn finish(mut self) -> Result<ImportReport> {
        self.flush()?;
        Ok(self.report)
    }

    fn flush(&mut self) -> Result<()> {
        self.flush_singles()?;
        self.flush_window()
    }

    fn flush_singles(&mut self) -> Result<()> {
        if self.singles.is_empty() {
            return Ok(());
        }
        let rows = &self.singles;
        let written = self.graph.transact(|tx| {
            rows.iter().try_for_each(|(line, edge)| {
                tx.add_edge(edge).map_err(|error| at_line(*line, error))
            })
        })?;
        self.report.added += rows.len() as u64;
        self.report.commit_count += 1;
        self.report.revision = written.revision;
        self.singles.clear();
        Ok(())
    }

    fn flush_window(&mut self) -> Result<()> {
        let window = std::mem::take(&mut self.window);
        window.commit(self.graph, &mut self.report)
    }

    fn progress(&self, read_len: u64) -> Progress {
        let (row_count, revision) = (self.report.added, self.report.revision);
        Progress { row_count, read_len, revision }
    }
}

/// The error with the line of the row that caused it; conflicts and the engine's stay as they are.
fn at_line(line: u64, error: Error) -> Error {
    match error {
        Error::Engine(_) | Error::Row { .. } => error,
        error => Error::Row { line, column: 0, cause: error.to_string() },
    }
}
