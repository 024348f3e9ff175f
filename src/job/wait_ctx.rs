//! stub
/// stub
#[derive(Clone, Debug)]
pub struct WaitCtx(std::sync::Arc<()>);
impl WaitCtx {
    pub(crate) fn reset(&self) {}
}
