//! Arguments of the commands about graphs.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// What to do with a graph.
#[derive(Debug, Subcommand)]
pub enum Graph {
    /// Import vertices and edges from CSV files; the first row names the columns.
    Import(GraphImport),
    /// Print the edges of a vertex, or everything within some hops.
    #[command(visible_alias = "neighbours")]
    Neighbors(GraphNeighbors),
    /// Print a path with the fewest edges, or the least sum of a property.
    Path(GraphPath),
    /// Count vertices and edges.
    Stats(GraphPlace),
    /// Check that both directions of every edge and all indexes agree.
    Check(GraphPlace),
    /// Add a vertex.
    AddVertex {
        /// Name or UUID.
        vertex: String,
        /// A label; may be given several times.
        #[arg(long)]
        label: Vec<String>,
        /// A property NAME=VALUE; may be given several times.
        #[arg(long, value_name = "NAME=VALUE")]
        prop: Vec<String>,
        #[command(flatten)]
        graph: GraphName,
    },
    /// Add an edge.
    AddEdge {
        /// Name or UUID of the vertex that it begins at.
        from: String,
        /// Name or UUID of the vertex that it ends at.
        to: String,
        /// Label.
        #[arg(long, default_value = "edge")]
        label: String,
        /// A property NAME=VALUE; may be given several times.
        #[arg(long, value_name = "NAME=VALUE")]
        prop: Vec<String>,
        #[command(flatten)]
        graph: GraphName,
    },
    /// Delete an edge, or a vertex with its edges.
    Remove {
        /// UUID of an edge; with --vertex name or UUID of a vertex.
        id: String,
        /// It is a vertex; refused while it has edges.
        #[arg(long)]
        vertex: bool,
        /// Delete its edges, too.
        #[arg(long, requires = "vertex")]
        cascade: bool,
        #[command(flatten)]
        graph: GraphName,
    },
}

/// Which graph.
#[derive(Debug, Clone, Args)]
pub struct GraphName {
    /// Graph.
    #[arg(long, short = 'g', default_value = "default")]
    pub graph: String,
}

/// Which graph, and when.
#[derive(Debug, Clone, Args)]
pub struct GraphPlace {
    #[command(flatten)]
    pub name: GraphName,
    /// As it was at this revision; 0 for the newest.
    #[arg(long, default_value_t = 0)]
    pub rev: u64,
}

/// Arguments of `graph import`.
#[derive(Debug, Args)]
pub struct GraphImport {
    /// CSV file with vertices.
    #[arg(long, value_name = "FILE")]
    pub nodes: Option<PathBuf>,
    /// CSV file with edges.
    #[arg(long, value_name = "FILE")]
    pub edges: Option<PathBuf>,
    /// Column with the names or UUIDs of vertices.
    #[arg(long, default_value = "id")]
    pub id: String,
    /// Label of the vertices; may be given several times.
    #[arg(long)]
    pub node_label: Vec<String>,
    /// Column with the vertices that edges begin at.
    #[arg(long, default_value = "src")]
    pub src: String,
    /// Column with the vertices that edges end at.
    #[arg(long, default_value = "dst")]
    pub dst: String,
    /// Label of edges that no column gives one.
    #[arg(long, default_value = "edge")]
    pub label: String,
    /// Column with labels of edges.
    #[arg(long)]
    pub label_column: Option<String>,
    /// Leave out vertices that exist already.
    #[arg(long)]
    pub skip_existing: bool,
    #[command(flatten)]
    pub graph: GraphName,
}

/// Along which edges.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Along {
    /// Those that begin at the vertex.
    Out,
    /// Those that end there.
    In,
    /// Both.
    Both,
}

/// Arguments of `graph neighbors`.
#[derive(Debug, Args)]
pub struct GraphNeighbors {
    /// Name or UUID.
    pub vertex: String,
    /// Along which edges.
    #[arg(long, value_enum, default_value_t = Along::Out)]
    pub direction: Along,
    /// Only edges with this label; may be given several times.
    #[arg(long)]
    pub label: Vec<String>,
    /// How many hops to go.
    #[arg(long, default_value_t = 1)]
    pub hops: usize,
    /// At most this many edges, or with more than one hop vertices.
    #[arg(long, default_value_t = 1000)]
    pub limit: usize,
    #[command(flatten)]
    pub place: GraphPlace,
}

/// Arguments of `graph path`.
#[derive(Debug, Args)]
pub struct GraphPath {
    /// Name or UUID of the first vertex.
    pub from: String,
    /// Name or UUID of the last vertex.
    pub to: String,
    /// Least sum of this property instead of the fewest edges.
    #[arg(long, value_name = "PROPERTY")]
    pub weight: Option<String>,
    /// Along which edges.
    #[arg(long, value_enum, default_value_t = Along::Out)]
    pub direction: Along,
    /// Only edges with this label; may be given several times.
    #[arg(long)]
    pub label: Vec<String>,
    #[command(flatten)]
    pub place: GraphPlace,
}
