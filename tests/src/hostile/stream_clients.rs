use super::Cases;
pub fn add(_cases: &mut Cases) {}
