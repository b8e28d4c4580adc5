//! Random bytes, from the system.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

/// Random bytes that no one can guess. Waits, at the start of the machine, until there are some.
pub fn bytes<const COUNT: usize>() -> io::Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    let mut filled = 0;
    while filled < COUNT {
        match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn bytes_are_others_each_time() {
        let (one, other) = (bytes::<300>().expect("bytes"), bytes::<300>().expect("bytes"));
        assert_ne!(one, other);
        assert_ne!(one[268..], [0; 32]);
    }
}
