//! Values of response fields: lists and numbers.

/// A list with commas.
pub(super) fn list<T: AsRef<str>>(elements: &[T]) -> String {
    let mut list = String::new();
    for element in elements {
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(element.as_ref());
    }
    list
}

/// A number in decimal. The formatting of the standard library is 10 kB of the module.
pub(super) fn decimal(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(b'0' + u8::try_from(number % 10).unwrap_or(0));
        number /= 10;
        if number == 0 {
            break;
        }
    }
    digits.reverse();
    String::from_utf8(digits).unwrap_or_default()
}
