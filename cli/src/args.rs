//! The command line.

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;
use zkprov_plans::havoc::{Budget, Wanted};
use zkprov_sandbox::reality::Switch;

/// Plans, applies and destroys ZooKeeper ensembles on Google Cloud, from one YAML file.
#[derive(Debug, Parser)]
#[command(
    name = "zkprov",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct Global {
    /// File or directory with Ensemble documents, `-` for standard input; repeatable [default: zkprov.yaml]
    #[arg(short = 'f', long = "file", global = true, value_name = "PATH")]
    pub(crate) files: Vec<PathBuf>,
    /// Set a value of the file, e.g. `spec.exhibitor.replicas=5`; repeatable
    #[arg(long = "set", global = true, value_name = "PATH=VALUE")]
    pub(crate) set: Vec<String>,
    /// Google Cloud project, where the file names none
    #[arg(long, global = true, value_name = "ID", env = "GOOGLE_CLOUD_PROJECT")]
    pub(crate) project: Option<String>,
    /// Work on the embedded cloud kept in DIR [default: the user's state directory]
    #[arg(long, global = true, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    pub(crate) sandbox: Option<Option<PathBuf>>,
    /// Use the templates of this directory in place of the built-in ones of the same name
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) templates: Option<PathBuf>,
    /// Results only, no progress
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// More: every field in plans, requests in the log (-vv)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Colours and bars
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub(crate) color: ColorChoice,
    /// Requests and steps under way at once
    #[arg(long, global = true, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) parallelism: u16,
    /// Longest wait for one step, e.g. `30m`
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// At a terminal, unless NO_COLOR says no.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Forms of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    /// For people.
    Text,
    /// One JSON value.
    Json,
    /// One JSON line a resource.
    Jsonl,
    /// For pull requests.
    Markdown,
}

/// Text or JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What the projects of the embedded cloud are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProjectLike {
    /// Nothing is short, nothing forbidden.
    Default,
    /// A new project: its quotas.
    New,
    /// A project on trial: its smaller quotas.
    Trial,
    /// A project of a careful organisation: policies, no default network, no role for the default service account.
    Strict,
}

/// Forms of the ensemble's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For Prometheus, as a text file that a collector reads.
    Prometheus,
}

/// Forms of a report on havoc.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HavocFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// JUnit XML, for pipelines.
    Junit,
}

/// Forms of apply's course.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ApplyFormat {
    /// Progress on stderr, the result on stdout.
    Text,
    /// Every event as a JSON line on stdout.
    Jsonl,
}

/// Forms of rendered documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RenderFormat {
    /// YAML documents.
    Yaml,
    /// One JSON array.
    Json,
}

/// What to render.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stage {
    /// Everything.
    All,
    /// Request bodies for Google Cloud.
    Cloud,
    /// Kubernetes manifests, as `kubectl apply -f -` takes them.
    Kubernetes,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a commented starter file
    Init(Init),
    /// Check the file, offline
    Validate(Validate),
    /// Print the rendered documents, offline
    Render(Render),
    /// Print the JSON Schema of the file
    Schema,
    /// Show what apply would do
    Plan(Plan),
    /// Make live state equal to the file, or apply a saved plan
    Apply(Apply),
    /// Remove what the ensemble owns; the data disk is kept unless asked for
    Destroy(Destroy),
    /// Rebuild an ensemble whose majority is lost from the member that knows most
    Recover(Recover),
    /// Change the number of members, one voter at a time
    Scale(Scale),
    /// Show or change settings of Exhibitor and ZooKeeper
    #[command(subcommand)]
    Config(Config),
    /// Show the ensemble: members, roles, and the three views side by side
    Status(Status),
    /// Take a backup of the ensemble's data; list, verify or prune backups
    Backup(Backup),
    /// Make the ensemble's data equal to a backup
    Restore(Restore),
    /// Kill pods, nodes and the file server under a budget of voters, and report how the ensemble comes back
    Havoc(Havoc),
    /// Write a kubeconfig context for the cluster
    Credentials(Credentials),
    /// Serve Exhibitor's web page and REST API on a loopback port, and open the browser
    Ui(Ui),
    /// Serve, show or reset the embedded cloud
    #[command(subcommand)]
    Sandbox(Sandbox),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Init {
    /// Where to write it
    #[arg(default_value = "zkprov.yaml")]
    pub(crate) path: PathBuf,
    /// Zone of file server and cluster
    #[arg(long)]
    pub(crate) zone: Option<String>,
    /// Name of the ensemble
    #[arg(long, default_value = "exhibitor")]
    pub(crate) name: String,
    /// Replace an existing file
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Validate {
    /// Form of the findings
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Render {
    /// Which documents
    #[arg(long, value_enum, default_value_t = Stage::All)]
    pub(crate) stage: Stage,
    /// Form
    #[arg(long, value_enum, default_value_t = RenderFormat::Yaml)]
    pub(crate) format: RenderFormat,
    /// Write one file a document into this directory instead
    #[arg(long, value_name = "DIR")]
    pub(crate) out_dir: Option<PathBuf>,
}

/// What may be done to resources in the way.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(crate) struct Consent {
    /// Resource that may be deleted and created again although that loses what it holds; repeatable
    #[arg(long, value_name = "ID")]
    pub(crate) replace: Vec<String>,
    /// Take over resources of the wanted names that carry no mark of zkprov
    #[arg(long)]
    pub(crate) adopt: bool,
    /// Number the members from 1 again, before ids end at 255; all restart together, and keep their data
    #[arg(long)]
    pub(crate) compact_ids: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Plan {
    /// Form of the plan on stdout
    #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
    pub(crate) format: PlanFormat,
    /// Write the plan to a file that `apply FILE` carries out
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Exit with 2 when changes are pending
    #[arg(long)]
    pub(crate) detailed_exitcode: bool,
    /// Plan the removal instead
    #[arg(long, conflicts_with = "refresh_only")]
    pub(crate) destroy: bool,
    /// With --destroy: delete what holds data too
    #[arg(long, requires = "destroy")]
    pub(crate) delete_data: bool,
    /// Show drift alone
    #[arg(long)]
    pub(crate) refresh_only: bool,
    #[command(flatten)]
    pub(crate) consent: Consent,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Apply {
    /// A plan written by `plan --out`: exactly that is applied, without a prompt
    #[arg(value_name = "PLAN", conflicts_with_all = ["files", "set"])]
    pub(crate) plan: Option<PathBuf>,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Form of the course
    #[arg(long, value_enum, default_value_t = ApplyFormat::Text)]
    pub(crate) format: ApplyFormat,
    #[command(flatten)]
    pub(crate) consent: Consent,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Destroy {
    /// The ensemble's name, in place of typing it
    #[arg(long, value_name = "NAME")]
    pub(crate) confirm: Option<String>,
    /// Delete the data disk or Filestore instance too
    #[arg(long)]
    pub(crate) delete_data: bool,
    /// Form of the course
    #[arg(long, value_enum, default_value_t = ApplyFormat::Text)]
    pub(crate) format: ApplyFormat,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Recover {
    /// The ensemble's name, in place of typing it
    #[arg(long, value_name = "NAME")]
    pub(crate) confirm: Option<String>,
    /// Show the evidence and the steps, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Go on without a pod that can't be read: what only it knows is lost
    #[arg(long, value_name = "POD")]
    pub(crate) without: Vec<String>,
    /// Form of evidence, plan and course
    #[arg(long, value_enum, default_value_t = ApplyFormat::Text)]
    pub(crate) format: ApplyFormat,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Scale {
    /// Members wanted: odd, 1 to 9
    pub(crate) replicas: u32,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Write the number into the file too, keeping its comments
    #[arg(long)]
    pub(crate) write: bool,
    /// Form of the course
    #[arg(long, value_enum, default_value_t = ApplyFormat::Text)]
    pub(crate) format: ApplyFormat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Show settings: in force, in the file, and what a change costs
    Get(ConfigGet),
    /// Change settings: live ones at once, others with a restart of one member after the other
    Set(ConfigSet),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ConfigGet {
    /// Names, e.g. `heap` or `zooCfg.tickTime` [default: all]
    #[arg(value_name = "KEY")]
    pub(crate) names: Vec<String>,
    /// Form
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ConfigSet {
    /// Settings and their new values, as the file words them, e.g. `check=20s` or `zooCfg.tickTime=3000`
    #[arg(value_name = "KEY=VALUE", required = true)]
    pub(crate) settings: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Write the values into the file too, keeping its comments
    #[arg(long)]
    pub(crate) write: bool,
    /// Form of the course
    #[arg(long, value_enum, default_value_t = ApplyFormat::Text)]
    pub(crate) format: ApplyFormat,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Status {
    /// Form
    #[arg(long, value_enum, default_value_t = StatusFormat::Text)]
    pub(crate) format: StatusFormat,
    /// Show it again whenever it changes; in place at a terminal
    #[arg(long)]
    pub(crate) watch: bool,
    /// Exit with 3 unless every member serves
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Backup {
    #[command(subcommand)]
    pub(crate) command: Option<Backups>,
    /// Directory with backups, a folder each, or `gs://BUCKET[/PREFIX]` [default: backups, beside the file]; `fileServer` runs the
    /// scheduled backup now
    #[arg(long, global = true, value_name = "PLACE")]
    pub(crate) to: Option<PathBuf>,
    /// After the new backup delete the ensemble's oldest, so that N are left, at least 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep: Option<u32>,
    /// Reach the cluster as the pod that this runs in, by its service account: for scheduled backups
    #[arg(long, conflicts_with = "sandbox")]
    pub(crate) in_cluster: bool,
    /// Form
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// What to do with backups that are there.
#[derive(Debug, Subcommand)]
pub(crate) enum Backups {
    /// Show the backups, the oldest first
    List,
    /// Read backups as a whole, and compare checksums and counts
    Verify(VerifyBackups),
    /// Delete all but the newest backups of each ensemble
    Prune(PruneBackups),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct VerifyBackups {
    /// Names of backups [default: all]
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PruneBackups {
    /// How many of each ensemble stay, at least 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep: u32,
    /// Show what would be deleted
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Restore {
    /// A backup: its folder, `gs://BUCKET[/PREFIX]/NAME`, or its name among the backups
    #[arg(value_name = "BACKUP")]
    pub(crate) backup: PathBuf,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The ensemble's name, in place of typing it, when it has data that is replaced
    #[arg(long, value_name = "NAME")]
    pub(crate) confirm: Option<String>,
    /// Who asks, where ACLs forbid it to anybody: `digest:FILE`, with USER:PASSWORD in the file; repeatable
    #[arg(long, value_name = "SCHEME:FILE")]
    pub(crate) auth: Vec<String>,
    /// Directory or `gs://BUCKET[/PREFIX]` with backups, also for the one that is taken before data is replaced [default:
    /// backups, beside the file]
    #[arg(long, value_name = "PLACE")]
    pub(crate) to: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Havoc {
    /// Pods to kill in each round [default: 1, or 0 with --nodes or --file-server]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=9))]
    pub(crate) pods: Option<u32>,
    /// Nodes to kill in each round: their VMs are reset; where a node has none, its members' pods are killed at once
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=9))]
    pub(crate) nodes: u32,
    /// Reset the file server's VM in each round
    #[arg(long)]
    pub(crate) file_server: bool,
    /// The same seed on the same placement of members strikes the same
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Voters that may be gone at once: `quorum-1` for as many as leave the quorum whole, or a number
    #[arg(long, default_value = "quorum-1", value_name = "VOTERS")]
    pub(crate) budget: Budget,
    /// Rounds
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// Begin nothing more after so long, e.g. `30m`
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// Print the schedule and kill nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The ensemble's name, in place of typing it
    #[arg(long, value_name = "NAME")]
    pub(crate) confirm: Option<String>,
    /// Form of the report on stdout
    #[arg(long, value_enum, default_value_t = HavocFormat::Text)]
    pub(crate) format: HavocFormat,
    /// Write the report into this directory in every form: report.txt, report.json, junit.xml, availability.svg
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

impl Havoc {
    /// What is asked for.
    pub(crate) fn wanted(&self) -> Wanted {
        let others = self.nodes > 0 || self.file_server;
        Wanted {
            pods: self.pods.unwrap_or(u32::from(!others)),
            nodes: self.nodes,
            file_server: self.file_server,
            rounds: self.rounds,
            seed: self.seed,
            budget: self.budget,
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Credentials {
    /// Kubeconfig to write [default: $KUBECONFIG or ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Ui {
    /// Port of 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8181)]
    pub(crate) port: u16,
    /// Do not open the browser
    #[arg(long)]
    pub(crate) no_open: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Sandbox {
    /// Serve the embedded cloud to other clients until interrupted
    Serve(Serve),
    /// Print what stands in it
    Show,
    /// Forget everything in it
    Reset,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Serve {
    /// Ports of Compute Engine, GKE, Filestore and Cloud Storage, the last of which may be left out [default: free ones]
    #[arg(long, num_args = 3..=4, value_names = ["COMPUTE", "CONTAINER", "FILE", "STORAGE"])]
    pub(crate) ports: Option<Vec<u16>>,
    /// A Kubernetes API that clusters hand out as theirs, in place of the embedded one
    #[arg(long, value_name = "HOST:PORT", requires = "cluster_ca")]
    pub(crate) cluster_endpoint: Option<String>,
    /// The CA of that API's certificate, PEM
    #[arg(long, value_name = "FILE", requires = "cluster_endpoint")]
    pub(crate) cluster_ca: Option<PathBuf>,
    /// A fault to inject, as JSON; repeatable
    #[arg(long, value_name = "RULE")]
    pub(crate) fault: Vec<String>,
    /// What the projects are like: quotas, policies, roles. It stays so in later commands
    #[arg(long, value_name = "PRESET", value_enum)]
    pub(crate) project_like: Option<ProjectLike>,
    /// One switch of that, such as `quota.SSD_TOTAL_GB=250`; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) reality: Vec<Switch>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) =
        text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 =
        number.parse().map_err(|_| format!("`{text}` is not a duration such as 90s, 30m or 2h"))?;
    match unit {
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number * 60)),
        "h" => Ok(Duration::from_secs(number * 3600)),
        _ => Err(format!("`{text}` is not a duration such as 90s, 30m or 2h")),
    }
}
