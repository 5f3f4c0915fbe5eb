//! The API's language: actions, the forms of requests, and answers. No I/O, and no decision what to
//! do next.

mod action;
mod answer;
mod form;
mod request;

pub use action::Action;
pub(crate) use answer::{
    Answer, RawAnswer, SessionAnswer, Void, WidgetAnswer, check_ks, decode, to_show,
};
pub(crate) use form::Form;
pub(crate) use request::{
    MAX_FILTER_IDS, check_id, push_filter, push_new_token, push_pager, push_token_update, seconds,
};
