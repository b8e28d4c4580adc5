//! The state of an instance that was configured, as `wasmtime-wizer` asks for it: by the accessors
//! that it gave the component. Nothing here waits, whatever the traits allow.

use wasmtime::Store;
use wasmtime::component::{ComponentNamedList, Instance, Lift, WasmList};
use wasmtime_wizer::ComponentInstanceState;

use super::usage::Usage;

/// The memories and globals of an instance.
pub(super) struct State<'a> {
    store: &'a mut Store<Usage>,
    instance: Instance,
    /// Why something of it could not be read. The traits have no room for it.
    failed: Option<wasmtime::Error>,
}

impl State<'_> {
    pub(super) fn new(store: &mut Store<Usage>, instance: Instance) -> State<'_> {
        State { store, instance, failed: None }
    }

    /// Why something of it could not be read: what was made of the rest is of no use.
    pub(super) fn failed(self) -> Option<wasmtime::Error> {
        self.failed
    }

    fn call<R: Lift + 'static>(&mut self, instance: &str, function: &str) -> Option<R>
    where
        (R,): ComponentNamedList,
    {
        match self.read(instance, function) {
            Ok(value) => Some(value),
            Err(error) => {
                self.failed.get_or_insert(error);
                None
            }
        }
    }

    fn read<R: Lift + 'static>(&mut self, instance: &str, function: &str) -> wasmtime::Result<R>
    where
        (R,): ComponentNamedList,
    {
        let missing = || wasmtime::format_err!("the accessor {function} is missing");
        let interface =
            self.instance.get_export_index(&mut *self.store, None, instance).ok_or_else(missing)?;
        let function = self
            .instance
            .get_export_index(&mut *self.store, Some(&interface), function)
            .ok_or_else(missing)?;
        let function = self.instance.get_typed_func::<(), (R,)>(&mut *self.store, function)?;
        function.call(&mut *self.store, ()).map(|(value,)| value)
    }
}

impl ComponentInstanceState for State<'_> {
    async fn call_func_ret_list_u8(
        &mut self,
        instance: &str,
        function: &str,
        contents: impl FnOnce(&[u8]) + Send,
    ) {
        let list = match self.read::<WasmList<u8>>(instance, function) {
            Ok(list) => Some(list),
            // Its accessor grows it by a page each time, and has no other reason to fail.
            Err(error) => {
                self.failed.get_or_insert(error.context(
                    "a memory cannot grow by two pages more, as it has to; link it without a \
                     maximum (--max-memory)",
                ));
                None
            }
        };
        match list {
            Some(list) => contents(list.as_le_slice(&*self.store)),
            None => contents(&[]),
        }
    }

    async fn call_func_ret_s32(&mut self, instance: &str, function: &str) -> i32 {
        self.call(instance, function).unwrap_or_default()
    }

    async fn call_func_ret_s64(&mut self, instance: &str, function: &str) -> i64 {
        self.call(instance, function).unwrap_or_default()
    }

    async fn call_func_ret_f32(&mut self, instance: &str, function: &str) -> u32 {
        self.call::<f32>(instance, function).unwrap_or_default().to_bits()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, function: &str) -> u64 {
        self.call::<f64>(instance, function).unwrap_or_default().to_bits()
    }
}
