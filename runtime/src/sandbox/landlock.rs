//! Landlock: <https://docs.kernel.org/userspace-api/landlock.html>

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, RestrictionStatus, Ruleset, RulesetAttr,
    RulesetError, RulesetStatus, Scope,
};

/// The version with all requested restrictions, since Linux 6.12.
const WHOLE: ABI = ABI::V6;

/// Forbids all access to files, ports, abstract Unix sockets, and signals to other processes, as far as the kernel can.
/// `Err`: it does not support all of them.
pub(super) fn restrict() -> Result<(), String> {
    let RestrictionStatus { ruleset, landlock, .. } = rules().map_err(|error| error.to_string())?;
    match (ruleset, landlock) {
        (RulesetStatus::FullyEnforced, _) => Ok(()),
        (_, LandlockStatus::NotImplemented) => Err("the kernel has none".to_owned()),
        (_, LandlockStatus::NotEnabled) => Err("the kernel was started without it".to_owned()),
        (_, LandlockStatus::Available { effective_abi, .. }) => Err(format!(
            "in part: the kernel has version {}, and version {} forbids all",
            effective_abi as i32, WHOLE as i32
        )),
    }
}

fn rules() -> Result<RestrictionStatus, RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(WHOLE))?
        .handle_access(AccessNet::from_all(WHOLE))?
        .scope(Scope::from_all(WHOLE))?
        .create()?
        .restrict_self()
}
