//! Version 0.1 of the contract, `wit/policy.wit`.

wasmtime::component::bindgen!({ path: "../wit", world: "guest" });
