//! `zkprov ui`: Exhibitor's page and REST API on a loopback port, through the API server.

use crate::args::Ui;
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::session::Session;
use crate::signals::Signals;
use crate::{input, page, pipeline};
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use tokio::net::TcpListener;

pub(super) async fn run(context: &Context, args: &Ui) -> Result<Exit, CommandError> {
    let specs = input::specs(context)?;
    let desired = pipeline::render(context, &specs)?;
    let ([spec], [desired]) = (specs.as_slice(), desired.as_slice()) else {
        return Err(CommandError::new(Exit::Usage, "ui shows one ensemble, and the file has several")
            .hint("name a file with one document: -f FILE"));
    };
    let session = Session::open(context).await?;
    let result = match session.cloud.page(spec, desired).await {
        Ok(page) => serve(context, args, page).await,
        Err(error) => Err(error.into()),
    };
    session.close().await;
    result
}

async fn serve(
    context: &Context,
    args: &Ui,
    page: zkprov_engine::providers::ensemble::Page,
) -> Result<Exit, CommandError> {
    // Whether anybody answers is told at once, not by an empty window.
    let pod = page.pod().await?;
    let doing = format!("listening on 127.0.0.1:{}", args.port);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port))
        .await
        .map_err(|error| CommandError::failed(&doing, &error).hint("--port 0 takes a free one"))?;
    let address = listener.local_addr().map_err(|error| CommandError::failed(&doing, &error))?;
    let signals = Signals::listen()?;
    let url = format!("http://{address}{}", page::INDEX);
    context.ui.result_line(&url)?;
    context.ui.note(&format!("{pod} answers; the REST API is beside the page; Ctrl-C ends it"));
    if !args.no_open && context.interactive() {
        open(context, &url);
    }
    page::serve(listener, page, signals.stop.clone()).await;
    Ok(Exit::Done)
}

/// Opens the user's browser. Without one the URL is there to be copied.
#[expect(clippy::disallowed_methods, reason = "a browser has a window of its own, and gets no terminal")]
fn open(context: &Context, url: &str) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let started = Command::new(opener).arg(url).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    if started.is_err() {
        context.ui.note(&format!("there is no {opener} to open a browser with: open the address above"));
    }
}
