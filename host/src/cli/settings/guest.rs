//! `[guest]`: the guest that decides, what it must pass, and what it may use.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;

use crate::cli::values::{rollback_after, size, time};
use crate::guest::runtime::compile::CompileLimits;
use crate::guest::{DecisionLimits, GuestLimits, Isolation};
use crate::release::active::Fallback;

/// The guest that decides.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Guest")]
pub struct GuestSettings {
    /// The guest that decides [default: the built-in one]
    ///
    /// A WebAssembly component for the world in wit/policy.wit, or a core module built for it.
    /// When the file changes and its new content passes validation, the new guest takes over.
    #[arg(id = "guest", long = "guest", value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Data that the guest is configured with
    ///
    /// For a guest that can be configured (wit/policy.wit). It is watched and validated as the
    /// guest is: when it changes and the guest accepts it, the guest with the new data takes over.
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,

    /// Cases that a guest must pass before it serves
    ///
    /// May be given several times.
    #[arg(long, value_name = "FILE")]
    pub cases: Vec<PathBuf>,

    /// Read the guest, its data and cases again only on SIGHUP
    #[arg(long)]
    pub no_watch: bool,

    /// What responds to a request on which the guest fails
    #[arg(id = "on_guest_failure", long = "on-guest-failure", value_name = "WHAT", value_enum, default_value_t = Fallback::Error, hide_short_help = true)]
    pub on_failure: Fallback,

    /// Failures among the last 1000 decisions that bring the previous guest back
    /// [default: never]
    #[arg(long, value_name = "COUNT", value_parser = rollback_after, hide_short_help = true)]
    pub rollback_after: Option<NonZeroU32>,

    /// What one decision may use
    #[command(flatten)]
    pub limits: DecisionLimitSettings,
}

/// What the guests of all sites share.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Guest")]
pub struct EngineSettings {
    /// File with the key of the fact :client-bucket/N [default: a random key]
    ///
    /// At least 16 characters on one line. A guest that reads the fact gets one of N numbers for
    /// each client; servers with the same key, and later runs, give a client the same one. A
    /// random key lasts until the server stops.
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub client_bucket_key: Option<PathBuf>,

    /// How decisions are kept apart from each other
    ///
    /// Each decision finds what it would find in an instance in which nothing has happened. An
    /// instance is put back to that where it can be (live), which takes a fifth to a tenth of the time; or is made for
    /// each decision (fresh).
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Isolation::Live, hide_short_help = true)]
    pub isolation: Isolation,

    /// What the guests of all sites may use
    #[command(flatten)]
    pub limits: EngineLimitSettings,
}

/// What a guest may use, for a command that is about one.
#[derive(Clone, Debug, Args)]
pub struct GuestLimitSettings {
    /// What one decision may use
    #[command(flatten)]
    pub decision: DecisionLimitSettings,

    /// What all guests may use
    #[command(flatten)]
    pub engine: EngineLimitSettings,
}

/// What one decision may use: of each site.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Guest")]
pub struct DecisionLimitSettings {
    /// Time that one decision may take, from 1ms to 1min
    #[arg(id = "guest_deadline", long = "guest-deadline", hide_short_help = true, value_name = "TIME", default_value = "100ms", value_parser = time::<1, 60_000>)]
    pub deadline: Duration,

    /// Memory of one instance, from 64KiB to 4GiB
    #[arg(id = "guest_memory", long = "guest-memory", hide_short_help = true, value_name = "SIZE", default_value = "64MiB", value_parser = size::<{ 64 << 10 }, { 4 << 30 }>)]
    pub memory: ByteSize,
}

/// What the guests of all sites may use.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Guest")]
pub struct EngineLimitSettings {
    /// Stack of one instance, from 64KiB to 1MiB
    #[arg(id = "guest_stack", long = "guest-stack", hide_short_help = true, value_name = "SIZE", default_value = "512KiB", value_parser = size::<{ 64 << 10 }, { 1 << 20 }>)]
    pub stack: ByteSize,

    /// Elements of each table of one instance
    #[arg(id = "guest_table_elements", long = "guest-table-elements", hide_short_help = true, value_name = "COUNT", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub table_elements: u32,

    /// Core instances that one component may consist of
    #[arg(id = "guest_core_instances", long = "guest-core-instances", hide_short_help = true, value_name = "COUNT", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub core_instances: u32,

    /// Memory that the compilation of a guest may take, from 64MiB to 64GiB
    #[arg(long, hide_short_help = true, value_name = "SIZE", default_value = "1GiB", value_parser = size::<{ 64 << 20 }, { 64 << 30 }>)]
    pub compile_memory: ByteSize,

    /// CPU time that the compilation may take for each MiB of the guest, from 1s to 1h
    ///
    /// A guest smaller than 1 MiB has as much.
    #[arg(long, hide_short_help = true, value_name = "TIME", default_value = "10s", value_parser = time::<1_000, 3_600_000>)]
    pub compile_time: Duration,

    /// CPU time that the configuration of a guest by its data may take, from 10ms to 1h
    #[arg(long, hide_short_help = true, value_name = "TIME", default_value = "1s", value_parser = time::<10, 3_600_000>)]
    pub configure_time: Duration,
}

impl GuestLimitSettings {
    /// What the compilation of a guest may use.
    pub fn compile_limits(&self) -> CompileLimits {
        self.engine.compile_limits()
    }

    /// What a guest may use.
    pub fn limits(&self) -> GuestLimits {
        self.engine.limits(self.decision.limits())
    }
}

impl DecisionLimitSettings {
    /// What one decision may use.
    pub fn limits(&self) -> DecisionLimits {
        DecisionLimits { deadline: self.deadline, memory_bytes: bytes(self.memory) }
    }
}

impl EngineLimitSettings {
    /// What the compilation of a guest may use.
    pub fn compile_limits(&self) -> CompileLimits {
        CompileLimits { memory_bytes: self.compile_memory.as_u64(), time: self.compile_time }
    }

    /// What guests may use of which no decision may use more than this.
    pub fn limits(&self, decision: DecisionLimits) -> GuestLimits {
        GuestLimits {
            decision,
            stack_bytes: bytes(self.stack),
            table_elements: usize::try_from(self.table_elements).unwrap_or(usize::MAX),
            core_instances: self.core_instances,
            configure_time: self.configure_time,
            ..GuestLimits::default()
        }
    }
}

fn bytes(size: ByteSize) -> usize {
    usize::try_from(size.as_u64()).unwrap_or(usize::MAX)
}
