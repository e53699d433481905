//! A machine's screen through a WebSocket, spoken to as a viewer in a browser does.

use crate::service::Service;
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};

type Viewer = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// Opens the screen of `machine` on a server of its own port.
async fn open(service: &Service, machine: &str) -> Result<Viewer, Error> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = service.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let url = format!("ws://{address}/api/v1/machines/{machine}/screen");
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("binary"));
    let (viewer, answer) = tokio_tungstenite::connect_async(request).await?;
    assert_eq!(answer.headers()["sec-websocket-protocol"], "binary");
    Ok(viewer)
}

/// The next bytes that the screen sends, at least `length`.
async fn read(viewer: &mut Viewer, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        match viewer.next().await.unwrap().unwrap() {
            Message::Binary(more) => bytes.extend(more),
            other => panic!("{other:?}"),
        }
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_gets_the_size_of_the_screen_and_a_picture_and_is_hung_up_on_with_the_machine() {
    let service = Service::start().await;
    let (layer, _) = service.layer("Debian").await;
    let (machine, _) = service.version_at_work(&layer, "1.1").await;
    let view = service.get(&format!("/machines/{machine}")).await.expect(200);
    assert_eq!(view["has_screen"], true);
    let mut viewer = open(&service, &machine).await.unwrap();

    // RFC 6143: version, security "none", shared; then the size of the screen.
    assert_eq!(read(&mut viewer, 12).await, b"RFB 003.008\n");
    viewer.send(Message::Binary(b"RFB 003.008\n".to_vec().into())).await.unwrap();
    assert_eq!(read(&mut viewer, 2).await, [1, 1]);
    viewer.send(Message::Binary(vec![1].into())).await.unwrap();
    assert_eq!(read(&mut viewer, 4).await, [0; 4]);
    viewer.send(Message::Binary(vec![1].into())).await.unwrap();
    let init = read(&mut viewer, 24).await;
    let (width, height) = (u16::from_be_bytes([init[0], init[1]]), u16::from_be_bytes([init[2], init[3]]));
    assert!(width >= 320 && height >= 200, "{width}×{height}");
    // All of the screen, raw.
    let mut ask = vec![3, 0, 0, 0, 0, 0];
    ask.extend(width.to_be_bytes().iter().chain(&height.to_be_bytes()));
    viewer.send(Message::Binary(ask.into())).await.unwrap();
    assert_eq!(read(&mut viewer, 4).await[0], 0, "an update of the picture");

    service.power_off(&machine).await;
    let end = async { while let Some(Ok(_)) = viewer.next().await {} };
    tokio::time::timeout(std::time::Duration::from_secs(60), end).await.expect("the stream ends");
    let Err(Error::Http(refused)) = open(&service, &machine).await else { panic!("it is off") };
    assert_eq!(refused.status(), 409);
    let view = service.get(&format!("/machines/{machine}")).await.expect(200);
    assert_eq!(view["has_screen"], false);
}
