;; The functions of WASI that Go's runtime names, for a guest that has none: time stands still,
;; nothing is random, there are no arguments, no environment and no files. Merged into the module,
;; they leave it without imports.
(module
  (import "guest" "memory" (memory 0))
  (func (export "args_sizes_get") (param i32 i32) (result i32)
    (i32.store (local.get 0) (i32.const 0))
    (i32.store (local.get 1) (i32.const 0))
    (i32.const 0))
  (func (export "args_get") (param i32 i32) (result i32) (i32.const 0))
  (func (export "environ_sizes_get") (param i32 i32) (result i32)
    (i32.store (local.get 0) (i32.const 0))
    (i32.store (local.get 1) (i32.const 0))
    (i32.const 0))
  (func (export "environ_get") (param i32 i32) (result i32) (i32.const 0))
  ;; It moves by a microsecond at each call, so that no wait is endless.
  (global $time (mut i64) (i64.const 1))
  (func (export "clock_time_get") (param i32 i64 i32) (result i32)
    (global.set $time (i64.add (global.get $time) (i64.const 1000)))
    (i64.store (local.get 2) (global.get $time))
    (i32.const 0))
  ;; Equal requests must get equal decisions, so a constant seeds the maps.
  (func (export "random_get") (param $at i32) (param $length i32) (result i32)
    (memory.fill (local.get $at) (i32.const 0x5a) (local.get $length))
    (i32.const 0))
  (func (export "sched_yield") (result i32) (i32.const 0))
  ;; Bad file descriptor: there are no files.
  (func (export "fd_fdstat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_write") (param i32 i32 i32 i32) (result i32) (i32.const 8))
  ;; A call that waits or exits is a failure.
  (func (export "poll_oneoff") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "proc_exit") (param i32) unreachable))
