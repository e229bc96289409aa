//! The store of records as a class. Promises end on the event loop; `page` and `openNow` wait for the disk.

use std::path::PathBuf;
use std::sync::Arc;

use attentionstore_store::{Found, PackedBatch, Part, Store, StoreError};
use napi::bindgen_prelude::{AsyncTask, Object, Uint8Array};
use napi::{Env, Error, JsValue, Result, Status, Task};
use napi_derive::napi;
use serde_json::json;

/// What lay where the store is.
#[napi(object, object_from_js = false)]
pub struct BindingFound {
    #[napi(ts_type = "'whole' | 'partial' | 'nothing' | 'other_format' | 'damaged'")]
    pub kind: String,
    /// Of a damaged store: the reason, and where it was set aside.
    pub detail: Option<String>,
    pub aside: Option<String>,
}

impl From<Found> for BindingFound {
    fn from(found: Found) -> Self {
        let plain = |kind: &str| Self { kind: kind.into(), detail: None, aside: None };
        match found {
            Found::Kept { is_whole: true } => plain("whole"),
            Found::Kept { is_whole: false } => plain("partial"),
            Found::Nothing => plain("nothing"),
            Found::OtherFormat => plain("other_format"),
            Found::Damaged { detail, aside } => {
                let aside = aside.map(|path| path.to_string_lossy().into_owned());
                Self { kind: "damaged".into(), detail: Some(detail), aside }
            }
        }
    }
}

#[napi]
pub struct BindingStore {
    inner: Arc<Store>,
}

/// Starts the thread of the store in `folder`; opens nothing yet. `secret`: the server's, 32 bytes.
#[napi(catch_unwind)]
pub fn start_store(folder: String, secret: Uint8Array) -> Result<BindingStore> {
    let secret = secret.as_ref().try_into().map_err(|_| Error::from_reason("the secret has 32 bytes"))?;
    let store = Store::start(PathBuf::from(folder), secret).map_err(store_thrown)?;
    Ok(BindingStore { inner: Arc::new(store) })
}

#[napi]
impl BindingStore {
    #[napi(catch_unwind)]
    pub fn open_now(&self) -> Result<BindingFound> {
        self.inner.open_now().map(Into::into).map_err(store_thrown)
    }

    #[napi(catch_unwind, ts_return_type = "Promise<BindingFound>")]
    pub fn open(&self, env: Env) -> Result<Object<'_>> {
        promised(env, |tell| self.inner.open(tell), BindingFound::from)
    }

    /// `keeps`: the store that is there is set aside, not deleted.
    #[napi(catch_unwind, ts_return_type = "Promise<BindingFound>")]
    pub fn begin_anew(&self, env: Env, detail: String, keeps: bool) -> Result<Object<'_>> {
        promised(env, |tell| self.inner.begin_anew(detail, keeps, tell), BindingFound::from)
    }

    /// Whether there was a store that had been set aside.
    #[napi(catch_unwind, ts_return_type = "Promise<boolean>")]
    pub fn remove_aside(&self, env: Env) -> Result<Object<'_>> {
        promised(env, |tell| self.inner.remove_aside(tell), |was_there| was_there)
    }

    #[napi(catch_unwind)]
    pub fn table(&self, name: String) -> u32 {
        self.inner.table(&name)
    }

    /// Packed records behind a key, or from the first on; empty: there are no more.
    #[napi(catch_unwind)]
    pub fn page(&self, table: u32, after: Option<Uint8Array>) -> Result<Uint8Array> {
        self.inner.page(table, after.map(|key| key.to_vec())).map(Into::into).map_err(store_thrown)
    }

    /// A packed batch; when the promise ends, it is on disk.
    #[napi(
        catch_unwind,
        ts_args_type = "batch: Uint8Array, part: 'change' | 'first' | 'next' | 'last'",
        ts_return_type = "Promise<void>"
    )]
    pub fn commit(&self, env: Env, batch: Uint8Array, part: String) -> Result<Object<'_>> {
        let part = match part.as_str() {
            "first" => Part::First,
            "next" => Part::Next,
            "last" => Part::Last,
            _ => Part::Change,
        };
        promised(env, |tell| self.inner.commit(PackedBatch::from(batch.to_vec()), part, tell), |()| ())
    }

    /// Waits for the commits in flight. May be called twice.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn close(&self) -> AsyncTask<CloseStore> {
        AsyncTask::new(CloseStore { store: self.inner.clone() })
    }
}

type Tell<T> = Box<dyn FnOnce(std::result::Result<T, StoreError>) + Send>;

/// A promise that ends when the store has told how a command ended.
fn promised<'env, T: Send + 'static, D: napi::bindgen_prelude::ToNapiValue + 'static>(
    env: Env,
    send: impl FnOnce(Tell<T>),
    convert: fn(T) -> D,
) -> Result<Object<'env>> {
    let (deferred, promise) = env.create_deferred()?;
    send(Box::new(move |outcome| match outcome {
        Ok(value) => deferred.resolve(move |_| Ok(convert(value))),
        Err(error) => deferred.reject(store_thrown(error)),
    }));
    // The promise is a handle of this very call, whatever the lifetime of `env` here.
    Ok(Object::from_raw(env.raw(), promise.raw()))
}

fn store_thrown(error: StoreError) -> Error {
    let body = json!({ "code": error.code(), "message": error.to_string(), "context": {} });
    Error::new(Status::GenericFailure, body.to_string())
}

pub struct CloseStore {
    store: Arc<Store>,
}

impl Task for CloseStore {
    type Output = ();
    type JsValue = ();

    fn compute(&mut self) -> Result<()> {
        self.store.close();
        Ok(())
    }

    fn resolve(&mut self, _env: Env, (): ()) -> Result<()> {
        Ok(())
    }
}
