//! Stage 6: versions -> the git config repo, once.
mod block;
mod edit;
mod parse;
mod render;
