use super::*;
use crate::client::Client;
use crate::provider::Provider;

const LOOPBACK: &str = "http://127.0.0.1:{port}";

fn attempt(port: u16) -> (Authorization, String) {
    let provider = Provider {
        authorization_endpoint: Some("https://as.example/auth".to_owned()),
        ..Provider::default()
    };
    let client = Client { id: "me".to_owned(), secret: None, authentication: Default::default() };
    let redirect = provider.redirect(port);
    let attempt = Authorization::new(&provider, &client, &redirect, &[], "a@example.com").unwrap();
    let query = attempt.url().split_once('?').unwrap().1;
    let state = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "state");
    let state = state.unwrap().1.into_owned();
    (attempt, state)
}

fn get(port: u16, head: &str) -> String {
    get_at(Ipv4Addr::LOCALHOST.into(), port, head)
}

fn get_at(address: IpAddr, port: u16, head: &str) -> String {
    let mut stream = TcpStream::connect((address, port)).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_answer_gets_through_whatever_else_comes() {
    let loopback = Loopback::open(LOOPBACK).unwrap();
    let port = loopback.port();
    let (attempt, state) = attempt(port);
    // Browsers open connections ahead of need and say nothing on them.
    let silent: Vec<_> =
        (0..3).map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap()).collect();
    let browser = std::thread::spawn(move || {
        let icon = get(port, "GET /favicon.ico HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(icon.starts_with("HTTP/1.1 404"));
        for query in ["", "?code=evil", "?code=evil&state=guess", "?error=access_denied"] {
            let answer = get(port, &format!("GET /{query} HTTP/1.1\r\n\r\n"));
            assert!(answer.starts_with("HTTP/1.1 40"), "{query}");
        }
        let post = get(port, &format!("POST /?code=x&state={state} HTTP/1.1\r\n\r\n"));
        assert!(post.starts_with("HTTP/1.1 404"));
        let huge = format!("GET /?code={} HTTP/1.1\r\n\r\n", "x".repeat(1 << 20));
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let _ = stream.write_all(huge.as_bytes());
        drop(stream);
        get(port, &format!("GET /?code=good&state={state} HTTP/1.1\r\n\r\n"))
    });
    let (code, shown) = loopback.wait(&attempt, Duration::from_secs(60)).unwrap();
    assert_eq!(code.unwrap().expose(), b"good");
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "the port is closed");
    shown.show(true, "It <works>", "a@example.com & more");
    let page = browser.join().unwrap();
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(page.contains("It &lt;works&gt;") && page.contains("a@example.com &amp; more"));
    assert!(!page.contains("<script"));
    drop(silent);
}

#[test]
fn a_refusal_comes_back_as_one() {
    let loopback = Loopback::open(LOOPBACK).unwrap();
    let port = loopback.port();
    let (attempt, state) = attempt(port);
    let denied = format!("GET /?error=access_denied&state={state} HTTP/1.1\r\n\r\n");
    let browser = std::thread::spawn(move || get(port, &denied));
    let (code, shown) = loopback.wait(&attempt, Duration::from_secs(60)).unwrap();
    assert!(
        matches!(code, Err(CallbackError::Refused(refusal)) if refusal.error == "access_denied")
    );
    shown.show(false, "Not authorised", "The provider said no.");
    assert!(browser.join().unwrap().starts_with("HTTP/1.1 400"));
}

#[test]
fn waiting_ends() {
    let loopback = Loopback::open(LOOPBACK).unwrap();
    let (attempt, _) = attempt(loopback.port());
    let waited = loopback.wait(&attempt, Duration::from_millis(50));
    assert!(matches!(waited.err(), Some(WaitError::TimedOut)));
}

/// Somebody else once listened on the IPv6 address of the port, and got the code.
#[test]
fn localhost_is_both_addresses_or_neither() {
    if !has_ipv6() {
        println!("skipped: this machine has no IPv6");
        return;
    }
    for address in [Ipv4Addr::LOCALHOST.into(), IpAddr::from(Ipv6Addr::LOCALHOST)] {
        let loopback = Loopback::open("http://localhost:{port}").unwrap();
        let port = loopback.port();
        for held in [Ipv4Addr::LOCALHOST.into(), IpAddr::from(Ipv6Addr::LOCALHOST)] {
            assert!(TcpListener::bind((held, port)).is_err(), "{held} is left to others");
        }
        let (attempt, state) = attempt(port);
        let answer = format!("GET /?code=good&state={state} HTTP/1.1\r\n\r\n");
        let browser = std::thread::spawn(move || get_at(address, port, &answer));
        let (code, shown) = loopback.wait(&attempt, Duration::from_secs(60)).unwrap();
        assert_eq!(code.unwrap().expose(), b"good");
        shown.show(true, "Authorised", "");
        assert!(browser.join().unwrap().starts_with("HTTP/1.1 200"));

        let others = TcpListener::bind((address, 0)).unwrap();
        let taken = format!("http://localhost:{}/", others.local_addr().unwrap().port());
        assert!(matches!(Loopback::open(&taken).err(), Some(OpenError::Io(_))));
    }
}

/// The path of a redirect URI was once answered with "nothing here".
#[test]
fn the_browser_comes_back_to_the_path_that_it_was_given() {
    for (path, target) in [("", "/?"), ("/", "/?"), ("/a/b", "/a/b?"), ("/a?x=1", "/a?x=1&")] {
        let loopback = Loopback::open(&format!("{LOOPBACK}{path}")).unwrap();
        let port = loopback.port();
        let (attempt, state) = attempt(port);
        let answer = format!("GET {target}code=good&state={state} HTTP/1.1\r\n\r\n");
        let browser = std::thread::spawn(move || {
            assert!(get(port, "GET /other?code=x HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
            get(port, &answer)
        });
        let (code, shown) = loopback.wait(&attempt, Duration::from_secs(60)).unwrap();
        assert_eq!(code.unwrap().expose(), b"good", "{path}");
        shown.show(true, "Authorised", "");
        browser.join().unwrap();
    }
}

#[test]
fn a_port_is_opened_on_this_machine_only() {
    let elsewhere = [
        "https://127.0.0.1:{port}/",
        "http://example.com:{port}/",
        "http://127.0.0.1.example.com/",
        "http://u@localhost:{port}/",
        "http://localhost:0/",
        "http://localhost:x/",
        "http://0.0.0.0:{port}/",
        "urn:ietf:wg:oauth:2.0:oob",
        "",
    ];
    for redirect in elsewhere {
        let opened = Loopback::open(redirect).err();
        assert!(matches!(opened, Some(OpenError::Elsewhere(_))), "{redirect}");
    }
    let place = Place::of("http://[::1]:8080/x").unwrap();
    assert_eq!((place.addresses, place.port), (vec![Ipv6Addr::LOCALHOST.into()], 8080));
    assert_eq!(Place::of("http://[::1]").unwrap().port, 80);
}

/// Whoever took all the places first once had the browser turned away.
#[test]
fn nobody_keeps_the_browser_out() {
    let loopback = Loopback::open(LOOPBACK).unwrap();
    let port = loopback.port();
    let (attempt, state) = attempt(port);
    let browser = std::thread::spawn(move || {
        let mut others = Vec::new();
        for _ in 0..MAX_OPEN + 50 {
            let mut other = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            other.write_all(b"GET /?code=").unwrap();
            others.push(other);
        }
        get(port, &format!("GET /?code=good&state={state} HTTP/1.1\r\n\r\n"))
    });
    let (code, shown) = loopback.wait(&attempt, Duration::from_secs(60)).unwrap();
    assert_eq!(code.unwrap().expose(), b"good");
    shown.show(true, "Authorised", "");
    assert!(browser.join().unwrap().starts_with("HTTP/1.1 200"));
}
