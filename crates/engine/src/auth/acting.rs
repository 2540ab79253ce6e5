//! Who is acting in this thread, so that the audit event of a change names it and the change is
//! tied to the auth revision at which it was allowed. Derived: lives as long as one call.
//!
//! The service does not know actors. It commits and tells its sink in the thread that called
//! it, and so both find the actor here.

use std::cell::Cell;

use cairn_auth::Principal;

thread_local! {
    static ACTING: Cell<Option<Actor>> = const { Cell::new(None) };
}

/// Somebody in the middle of an act of administration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Actor {
    /// Number of the user.
    pub(crate) user: u64,
    /// Auth revision at which it was allowed.
    pub(crate) admitted: u64,
}

/// Ends the act when it goes.
pub(crate) struct Acting(Option<Actor>);

impl Acting {
    /// Begins an act.
    pub(crate) fn begin(principal: &Principal, admitted: u64) -> Self {
        Self(ACTING.replace(Some(Actor { user: principal.user().get(), admitted })))
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        ACTING.set(self.0);
    }
}

/// Who is acting.
pub(crate) fn actor() -> Option<Actor> {
    ACTING.get()
}

/// The actor's own change moved the auth revision.
pub(crate) fn moved_by_itself(revision: u64) {
    if let Some(actor) = ACTING.get() {
        ACTING.set(Some(Actor { admitted: revision, ..actor }));
    }
}

/// The permissions changed between the check and the commit. Nothing was written.
#[derive(Debug, thiserror::Error)]
#[error("permissions changed meanwhile; the act has to be checked again")]
pub(crate) struct AdmissionLost;
