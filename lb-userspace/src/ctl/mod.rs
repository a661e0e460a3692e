//! The verbs of lbd and lbctl.
