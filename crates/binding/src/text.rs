//! Text and tokens: encoding on the engine's threads for texts, the rest on those of the event loop's pool.

use std::sync::Arc;

use attentionstore_engine::{EncodedPrompt, Engine, EngineError};
use attentionstore_model::text::Specials;
use napi::bindgen_prelude::{AsyncTask, Object, Uint8Array, Uint32Array};
use napi::{Env, Result, Task};
use napi_derive::napi;

use crate::chat::{BindingChat, Chat};
use crate::engine::BindingEngine;
use crate::error::thrown;
use crate::prompt::prompt;
use crate::sequence::{BindingView, key};

type Work<T> = Box<dyn FnOnce(&Engine) -> std::result::Result<T, EngineError> + Send>;

/// Work on the tokenizer that gives a value to JavaScript.
pub struct TextTask<T> {
    engine: Arc<Engine>,
    work: Option<Work<T>>,
}

impl<T> TextTask<T> {
    fn new(
        engine: &Arc<Engine>,
        work: impl FnOnce(&Engine) -> std::result::Result<T, EngineError> + Send + 'static,
    ) -> AsyncTask<Self>
    where
        Self: Task,
    {
        AsyncTask::new(Self { engine: engine.clone(), work: Some(Box::new(work)) })
    }

    fn run(&mut self) -> Result<T> {
        let work = self.work.take().ok_or_else(|| napi::Error::from_reason("run twice"))?;
        work(&self.engine).map_err(thrown)
    }
}

impl Task for TextTask<Vec<u8>> {
    type Output = Vec<u8>;
    type JsValue = Uint8Array;

    fn compute(&mut self) -> Result<Vec<u8>> {
        self.run()
    }

    fn resolve(&mut self, _env: Env, bytes: Vec<u8>) -> Result<Uint8Array> {
        Ok(Uint8Array::new(bytes))
    }
}

impl Task for TextTask<String> {
    type Output = String;
    type JsValue = String;

    fn compute(&mut self) -> Result<String> {
        self.run()
    }

    fn resolve(&mut self, _env: Env, text: String) -> Result<String> {
        Ok(text)
    }
}

#[napi]
impl BindingEngine {
    /// A promise of a `BindingPrompt`. More tokens than `most_tokens` are refused.
    #[napi(catch_unwind, ts_return_type = "Promise<BindingPrompt>")]
    pub fn encode_chat<'env>(
        &self,
        env: &'env Env,
        chat: BindingChat,
        most_tokens: Option<u32>,
    ) -> Result<Object<'env>> {
        let bytes = chat.bytes();
        prompt(env, self.open()?, bytes, most_tokens, move |engine, pace| {
            engine.encode_chat_at(&Chat::from(chat)?.request(), pace)
        })
    }

    /// A promise of a `BindingPrompt`. More tokens than `most_tokens` are refused.
    #[napi(catch_unwind, ts_return_type = "Promise<BindingPrompt>")]
    pub fn encode_prompt<'env>(
        &self,
        env: &'env Env,
        text: String,
        most_tokens: Option<u32>,
    ) -> Result<Object<'env>> {
        self.tokenize(env, text, true, false, most_tokens)
    }

    /// A promise of a `BindingPrompt`. `add_special`: it begins as the tokenizer begins texts; `parse_special`: names of
    /// special tokens in it are these tokens. More tokens than `most_tokens` are refused.
    #[napi(catch_unwind, ts_return_type = "Promise<BindingPrompt>")]
    pub fn tokenize<'env>(
        &self,
        env: &'env Env,
        text: String,
        add_special: bool,
        parse_special: bool,
        most_tokens: Option<u32>,
    ) -> Result<Object<'env>> {
        let engine = self.open()?;
        let specials = if parse_special { Specials::Parse } else { Specials::Plain };
        // What length alone refuses waits for no turn.
        let most = most_tokens.map(|most| most as usize).filter(|_| !parse_special);
        let checked = engine.check_prompt(&text, most);
        let bytes = if checked.is_ok() { text.len() } else { 0 };
        prompt(env, engine, bytes, most_tokens, move |engine, pace| {
            let tokens = checked.and_then(|()| engine.tokenize_at(&text, add_special, specials, pace))?;
            Ok(EncodedPrompt { tokens, ..EncodedPrompt::default() })
        })
    }

    #[napi(catch_unwind, ts_return_type = "Promise<string>")]
    pub fn decode(&self, tokens: Uint32Array) -> Result<AsyncTask<TextTask<String>>> {
        let tokens = tokens.to_vec();
        Ok(TextTask::new(&self.open()?, move |engine| engine.decode(&tokens)))
    }

    #[napi(catch_unwind)]
    pub fn token_bytes(&self, token: u32) -> Result<Uint8Array> {
        Ok(Uint8Array::new(self.open()?.token_bytes(token)))
    }

    #[napi(catch_unwind)]
    pub fn root(&self, tenant: String, cache_salt: String) -> Result<Uint8Array> {
        Ok(Uint8Array::new(self.open()?.root(&tenant, &cache_salt).to_vec()))
    }

    /// 32 bytes for each block of `tokens`.
    #[napi(catch_unwind, ts_return_type = "Promise<Uint8Array>")]
    pub fn keys(
        &self,
        root: &[u8],
        tokens: Uint32Array,
        view: Option<BindingView>,
    ) -> Result<AsyncTask<TextTask<Vec<u8>>>> {
        let (root, tokens) = (key(root)?, tokens.to_vec());
        let view = view.map(|view| view.parameters());
        Ok(TextTask::new(&self.open()?, move |engine| Ok(engine.keys(&root, &tokens, view).concat())))
    }

    #[napi(catch_unwind)]
    pub fn block_key(
        &self,
        parent: &[u8],
        index: u32,
        tokens: &[u32],
        view: Option<BindingView>,
    ) -> Result<Uint8Array> {
        let view = view.map(|view| view.parameters());
        let key = self.open()?.block_key(&key(parent)?, index as usize, tokens, view);
        Ok(Uint8Array::new(key.to_vec()))
    }
}
