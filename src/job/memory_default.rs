//! Stack memory without C: always the thread's pool of stacks.

use super::core::Core;
use crate::context::Context;
use crate::stack::{PooledStack, StackConfig, StackError};

/// There is no lock to hold.
pub(super) fn hold() {}

/// A context on a pooled stack.
pub(super) fn context(config: StackConfig, core: Core) -> Result<Context<Core>, StackError> {
    Context::new(PooledStack::new(config)?, core)
}
