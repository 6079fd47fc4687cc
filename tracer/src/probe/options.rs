//! What a kernel may have been built without: then there is nothing to see, and nothing is missing. Pure.
use crate::{model::observe::Observe, probe::btf::Types};

/// An option of the kernel's configuration, as its types show it.
#[derive(Debug, PartialEq, Eq)]
pub struct BuildOption {
    /// What there is to see only with it.
    pub observe: Observe,
    pub name: &'static str,
    /// A struct that has no members without it.
    hollow: &'static str,
}

/// Each struct is declared as `{}` where its option is off: include/linux/mm_types.h, include/linux/hugetlb.h.
const OPTIONS: [BuildOption; 2] = [
    BuildOption {
        observe: Observe::UserfaultFault,
        name: "CONFIG_USERFAULTFD",
        hollow: "vm_userfaultfd_ctx",
    },
    BuildOption { observe: Observe::HugetlbFault, name: "CONFIG_HUGETLB_PAGE", hollow: "hstate" },
];

/// The options that this kernel was built without. One whose struct is not there at all counts as built in.
pub fn not_built(types: &impl Types) -> Vec<&'static BuildOption> {
    OPTIONS.iter().filter(|option| types.is_hollow(option.hollow)).collect()
}

/// The structs that [`not_built`] asks for.
pub fn wanted() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|option| option.hollow)
}
