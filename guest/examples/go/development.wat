;; What prints, in a guest for development: the host is told each line. The lines are put together in
;; a buffer that development_wasip1.go has.
(module
  (import "guest" "memory" (memory 0))
  (import "innkeeper:policy/development@0.1.0" "say" (func $say (param i32 i32)))
  (global $buffer (mut i32) (i32.const 0))
  (global $size (mut i32) (i32.const 0))
  (global $used (mut i32) (i32.const 0))
  (func (export "use_buffer") (param $at i32) (param $size i32)
    (global.set $buffer (local.get $at))
    (global.set $size (local.get $size)))
  (func $is_utf8 (result i32)
    (local $at i32) (local $end i32) (local $byte i32) (local $more i32) (local $code i32) (local $least i32)
    (local.set $at (global.get $buffer))
    (local.set $end (i32.add (local.get $at) (global.get $used)))
    (loop $character
      (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (i32.const 1))))
      (local.set $byte (i32.load8_u (local.get $at)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $character (i32.lt_u (local.get $byte) (i32.const 0x80)))
      (if (i32.lt_u (local.get $byte) (i32.const 0xc2)) (then (return (i32.const 0))))
      (if (i32.gt_u (local.get $byte) (i32.const 0xf4)) (then (return (i32.const 0))))
      (local.set $least (select (i32.const 0x800) (i32.const 0x80) (i32.ge_u (local.get $byte) (i32.const 0xe0))))
      (local.set $least (select (i32.const 0x10000) (local.get $least) (i32.ge_u (local.get $byte) (i32.const 0xf0))))
      (local.set $more (i32.add (i32.const 1) (i32.add
        (i32.ge_u (local.get $byte) (i32.const 0xe0)) (i32.ge_u (local.get $byte) (i32.const 0xf0)))))
      (local.set $code (i32.and (local.get $byte) (i32.shr_u (i32.const 0x3f) (local.get $more))))
      (loop $rest
        (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (i32.const 0))))
        (local.set $byte (i32.load8_u (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (if (i32.ne (i32.and (local.get $byte) (i32.const 0xc0)) (i32.const 0x80)) (then (return (i32.const 0))))
        (local.set $code (i32.or (i32.shl (local.get $code) (i32.const 6)) (i32.and (local.get $byte) (i32.const 0x3f))))
        (local.set $more (i32.sub (local.get $more) (i32.const 1)))
        (br_if $rest (local.get $more)))
      (if (i32.lt_u (local.get $code) (local.get $least)) (then (return (i32.const 0))))
      (if (i32.gt_u (local.get $code) (i32.const 0x10ffff)) (then (return (i32.const 0))))
      (if (i32.eq (i32.and (local.get $code) (i32.const 0xfffff800)) (i32.const 0xd800)) (then (return (i32.const 0))))
      (br $character))
    unreachable)
  ;; Tells the line. One that is no UTF-8 has a question mark for each byte that is not ASCII, as a text
  ;; of another kind would end the decision.
  (func $tell
    (local $at i32) (local $end i32)
    (if (i32.eqz (call $is_utf8)) (then
      (local.set $at (global.get $buffer))
      (local.set $end (i32.add (local.get $at) (global.get $used)))
      (loop $byte
        (if (i32.ge_u (i32.load8_u (local.get $at)) (i32.const 0x80)) (then
          (i32.store8 (local.get $at) (i32.const 0x3f))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $byte (i32.lt_u (local.get $at) (local.get $end))))))
    (call $say (global.get $buffer) (global.get $used))
    (global.set $used (i32.const 0)))
  ;; Tells what has no end of line.
  (func $flush (export "flush")
    (if (global.get $used) (then (call $tell))))
  (func $put (param $byte i32)
    ;; Before there is a buffer, nothing is told.
    (if (i32.eqz (global.get $size)) (then (return)))
    (if (i32.eq (local.get $byte) (i32.const 10)) (then (call $tell) (return)))
    (if (i32.eq (global.get $used) (global.get $size)) (then (call $tell)))
    (i32.store8 (i32.add (global.get $buffer) (global.get $used)) (local.get $byte))
    (global.set $used (i32.add (global.get $used) (i32.const 1))))
  (func (export "write") (param $file i32) (param $parts i32) (param $count i32) (param $written i32)
      (result i32)
    (local $sum i32) (local $at i32) (local $end i32)
    (loop $part
      (if (local.get $count) (then
        (local.set $at (i32.load (local.get $parts)))
        (local.set $end (i32.add (local.get $at) (i32.load offset=4 (local.get $parts))))
        (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $parts))))
        (loop $byte
          (if (i32.lt_u (local.get $at) (local.get $end)) (then
            (call $put (i32.load8_u (local.get $at)))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $byte))))
        (local.set $parts (i32.add (local.get $parts) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $part))))
    (i32.store (local.get $written) (local.get $sum))
    (i32.const 0))
  ;; A call that waits or exits is a failure, but for waits of up to a millisecond: the runtime waits so
  ;; before it tells of a panic.
  (func (export "wait") (param $for i32) (param $events i32) (param $count i32) (param $happened i32)
      (result i32)
    (if (i32.eq (local.get $count) (i32.const 1)) (then
      (if (i64.le_u (i64.load offset=24 (local.get $for)) (i64.const 1000000)) (then
        (return (i32.const 0))))))
    unreachable)
  (func (export "exit") (param i32)
    (call $flush)
    unreachable))
