//! Names of workflows and of messages.

/// Whether `id` can name a workflow or a message: 1 to 255 of `[A-Za-z0-9._:-]`.
///
/// ```
/// assert!(hansom_core::is_id("trip-7.back"));
/// assert!(!hansom_core::is_id("trip 7"));
/// ```
pub fn is_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    (1..=255).contains(&id.len()) && id.bytes().all(allowed)
}
