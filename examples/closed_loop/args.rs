//! What can be said on the command line. Knows the defaults; reads nothing else.

use crate::arm::Arm;

/// Measures whether Whetstone improves a small agent that a real model drives
#[derive(Debug, clap::Parser)]
#[command(
    name = "closed_loop",
    after_help = "Example:\n  \
    cargo run --release --example closed_loop -- \\\n      \
        --agent-endpoint http://127.0.0.1:8081/v1/ --agent-model qwen2.5-coder-0.5b \\\n      \
        --optimizer-endpoint http://127.0.0.1:8082/v1/ --optimizer-model qwen2.5-coder-1.5b\n\n\
    Any OpenAI-compatible server will do. What the held-out tasks say never reaches the optimizer."
)]
pub(crate) struct Args {
    /// The OpenAI-compatible server of the agent's model
    #[arg(long, value_name = "URL")]
    pub(crate) agent_endpoint: String,
    /// The agent's model
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) agent_model: String,
    /// The server of the optimizer's model; the agent's if not given
    #[arg(long, value_name = "URL")]
    optimizer_endpoint: Option<String>,
    /// The optimizer's model
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) optimizer_model: String,
    /// Cycles of training and learning
    #[arg(long, default_value_t = 5)]
    pub(crate) cycles: u32,
    /// Training runs a cycle
    #[arg(long, default_value_t = 40)]
    pub(crate) runs: usize,
    /// Held-out tasks
    #[arg(long, default_value_t = 60)]
    pub(crate) held_out: usize,
    /// Draws the tasks
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Temperature of the agent's model in training; held-out tasks are answered at 0
    #[arg(long, default_value_t = 0.7)]
    pub(crate) temperature: f64,
    /// What is compared, in this order
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "none,oracle,patterns,trusting,model"
    )]
    pub(crate) arms: Vec<Arm>,
    /// One of Whetstone's settings, e.g. guard.max_bullets=5; may be given again
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// The whole report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl Args {
    pub(crate) fn optimizer_endpoint(&self) -> &str {
        self.optimizer_endpoint.as_deref().unwrap_or(&self.agent_endpoint)
    }
}
