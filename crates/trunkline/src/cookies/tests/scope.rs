//! Scope of cookies: domain, path, `Secure`, and the hosts that may set them.

use super::{Refused, World, goes, refused};

#[test]
fn without_a_domain_it_is_for_its_host_alone() {
    for cookie in ["a=b", "a=b; Domain", "a=b; Domain=", "a=b; Domain=.", "a=b; Domain=example.com; Domain="] {
        goes(
            "http://www.example.com/",
            cookie,
            &["http://www.example.com/", "https://WWW.Example.COM:8443/x?y"],
            &["http://example.com/", "http://a.www.example.com/", "http://ww.example.com/", "http://wwww.example.com/"],
        );
    }
}

#[test]
fn with_a_domain_it_is_for_all_hosts_below() {
    for cookie in ["a=b; Domain=example.com", "a=b; Domain=.example.com", "a=b; domain= EXAMPLE.com "] {
        goes(
            "http://www.example.com/",
            cookie,
            &["http://example.com/", "http://www.example.com/", "http://a.b.c.example.com/"],
            &["http://badexample.com/", "http://example.com.evil.net/", "http://com/", "http://example.net/"],
        );
    }
}

#[test]
fn a_host_sets_no_cookies_for_others() {
    for domain in
        ["other.com", "a.www.example.com", "ww.example.com", "xample.com", "..example.com", "www.example.com."]
    {
        let cookie = format!("a=b; Domain={domain}");
        refused("http://www.example.com/", &cookie, Refused::ForeignDomain);
    }
    refused("http://a..com/", "a=b; Domain=..com", Refused::ForeignDomain);
    refused("http://www.example.com/", "a=b; Domain=ex\u{e4}mple.com", Refused::BadDomain);
}

#[test]
fn a_public_suffix_has_cookies_as_a_host_but_not_as_a_domain() {
    for (from, domain) in [
        ("http://example.com/", "com"),
        ("http://www.example.co.uk/", "co.uk"),
        ("http://me.github.io/", ".github.io"),
        ("http://a.b.kawasaki.jp/", "b.kawasaki.jp"),
        ("http://a.b.kawasaki.jp/", "kawasaki.jp"),
        ("http://www.xn--85x722f.xn--55qx5d.cn/", "xn--55qx5d.cn"),
        ("http://printer.intranet/", "intranet"),
        ("http://example.com./", "com."),
    ] {
        refused(from, &format!("a=b; Domain={domain}"), Refused::PublicSuffix);
    }
    goes("http://github.io/", "a=b; Domain=github.io", &["http://github.io/x"], &["http://me.github.io/"]);
    goes("http://localhost/", "a=b; Domain=localhost", &["http://localhost/"], &["http://x.localhost/"]);
}

#[test]
fn an_address_has_no_hosts_below_it() {
    refused("http://127.0.0.1/", "a=b; Domain=0.0.1", Refused::ForeignDomain);
    refused("http://127.0.0.1/", "a=b; Domain=1", Refused::ForeignDomain);
    for domain in ["", "; Domain=127.0.0.1"] {
        let others = ["http://1.127.0.0.1.example.com/", "http://127.0.0.2/", "http://27.0.0.1/"];
        goes("http://127.0.0.1:8080/", &format!("a=b{domain}"), &["http://127.0.0.1/", "http://0x7f.1/"], &others);
    }
    for domain in ["", "; Domain=[::1]", "; Domain=::1"] {
        goes("http://[::1]/", &format!("a=b{domain}"), &["http://[0:0::1]:81/"], &["http://[::2]/"]);
    }
}

#[test]
fn a_host_name_of_any_writing_is_one_host() {
    goes(
        "http://b\u{fc}cher.example/",
        "a=b; Domain=xn--bcher-kva.example",
        &["http://www.B\u{dc}CHER.example/"],
        &["http://bucher.example/"],
    );
    let too_long = format!("http://{}x.example.com/", "a.".repeat(130));
    let url = url::Url::parse(&too_long).unwrap();
    assert!(super::Origin::of(&url).is_none());
}

#[test]
fn a_path_is_for_all_below_it() {
    for path in ["/a", "/a/"] {
        goes(
            "http://example.com/",
            &format!("a=b; Path={path}"),
            &["http://example.com/a/", "http://example.com/a/b?c"],
            &["http://example.com/", "http://example.com/ab", "http://example.com/A/", "http://example.com/b/a/"],
        );
    }
    goes("http://example.com/", "a=b; Path=/a", &["http://example.com/a?b"], &[]);
    goes("http://example.com/", "a=b; Path=/a/", &[], &["http://example.com/a"]);
    goes("http://example.com/x", "a=b; Path=/elsewhere", &["http://example.com/elsewhere"], &["http://example.com/x"]);
}

#[test]
fn the_default_path_is_the_directory_of_the_address() {
    for (from, path) in [
        ("http://example.com", "/"),
        ("http://example.com/", "/"),
        ("http://example.com/x", "/"),
        ("http://example.com/x/", "/x"),
        ("http://example.com/x/y?z=/a/b/", "/x"),
        ("http://example.com/x/y/z#/a/", "/x/y"),
    ] {
        for cookie in ["a=b", "a=b; Path", "a=b; Path=x/y/z", "a=b; Path=/x/y/z; Path="] {
            let mut world = World::new().with(from, cookie);
            assert_eq!(world.store.all(world.now)[0].path(), path, "{cookie} of {from}");
        }
    }
}

#[test]
fn an_address_of_any_length_is_not_kept_as_a_path() {
    let fits = format!("http://example.com/{}/page", "x".repeat(1023));
    goes(&fits, "a=b", &[&fits], &["http://example.com/"]);
    let longer = format!("http://example.com/{}/page", "x".repeat(1024));
    refused(&longer, "a=b", Refused::LongPath);
    refused(&longer, &format!("a=b; Path=/{}", "x".repeat(1024)), Refused::LongPath);
    goes(&longer, "a=b; Path=/", &["http://example.com/"], &[]);
}

#[test]
fn secure_cookies_are_set_and_sent_over_https_alone() {
    refused("http://example.com/", "a=b; Secure", Refused::InsecureOrigin);
    goes(
        "https://example.com/",
        "a=b; Secure",
        &["https://example.com/"],
        &["http://example.com/", "http://example.com:443/"],
    );
    goes("https://example.com/", "a=b", &["http://example.com/"], &[]);
}

#[test]
fn this_machine_itself_counts_as_secure() {
    for here in ["http://localhost:8080/", "http://127.0.0.1/", "http://127.8.8.8/", "http://[::1]/"] {
        goes(here, "a=b; Secure", &[here], &[]);
    }
    for elsewhere in ["http://localhost.example.com/", "http://www.localhost/", "http://10.0.0.1/", "http://[::2]/"] {
        refused(elsewhere, "a=b; Secure", Refused::InsecureOrigin);
    }
}

#[test]
fn http_leaves_secure_cookies_alone() {
    let secure = || World::new().with("https://www.example.com/", "a=1; Secure; Path=/in; Domain=example.com");
    for (from, cookie) in [
        ("http://www.example.com/", "a=2; Path=/in; Domain=example.com"),
        ("http://www.example.com/in/x", "a=2"),
        ("http://example.com/", "a=2; Path=/in/deeper"),
        ("http://other.example.com/", "a=2; Path=/in; Domain=example.com"),
        ("http://example.com/", "a=; Path=/in; Domain=example.com; Max-Age=0"),
    ] {
        assert_eq!(secure().set(from, cookie), Err(Refused::OverlaysSecure), "{cookie} of {from}");
    }
    for (from, cookie) in [
        ("http://www.example.com/", "a=2; Path=/"),
        ("http://www.example.com/", "a=2; Path=/inner"),
        ("http://www.example.com/", "A=2; Path=/in"),
        ("http://www.example.net/", "a=2; Path=/in"),
        ("https://www.example.com/", "a=2; Path=/in; Domain=example.com"),
    ] {
        assert_eq!(secure().set(from, cookie), Ok(()), "{cookie} of {from}");
    }
    // Also one of a host below the domain that http tries to set it for.
    let mut world = World::new().with("https://www.example.com/", "a=1; Secure");
    assert_eq!(world.set("http://example.com/", "a=2; Domain=example.com"), Err(Refused::OverlaysSecure));
    // But only while it is there.
    let mut world = World::new().with("https://example.com/", "a=1; Secure; Max-Age=10");
    world.later(10);
    assert_eq!(world.set("http://example.com/", "a=2"), Ok(()));
}

#[test]
fn prefixes_hold_what_they_promise_in_any_case() {
    let https = "https://site.example/x";
    for name in ["__Secure-a", "__secure-a", "__SECURE-"] {
        refused(https, &format!("{name}=b; Domain=site.example"), Refused::SecurePrefix);
        goes(https, &format!("{name}=b; Secure; Path=/"), &["https://site.example/"], &[]);
        goes(https, &format!("{name}=b; Secure; Domain=site.example"), &["https://www.site.example/"], &[]);
        refused(https, name, Refused::NamelessPrefix);
    }
    for name in ["__Host-a", "__host-a", "__HOST-"] {
        for attributes in ["", "; Secure", "; Path=/", "; Secure; Path=/x", "; Secure; Path=/; Domain=site.example"] {
            refused(https, &format!("{name}=b{attributes}"), Refused::HostPrefix);
        }
        // At the root the default path is `/` too, but it has to be said.
        refused("https://site.example/", &format!("{name}=b; Secure"), Refused::HostPrefix);
        goes(https, &format!("{name}=b; Secure; Path=/"), &["https://site.example/"], &["https://www.site.example/"]);
        refused(https, &format!("={name}=b; Secure; Path=/"), Refused::NamelessPrefix);
    }
    refused("http://site.example/", "__Secure-a=b; Secure", Refused::InsecureOrigin);
    goes("http://site.example/", "__Secure=b", &["http://site.example/"], &[]);
}

#[test]
fn same_site_forbids_a_client_nothing_and_none_has_to_be_secure() {
    for site in ["Strict", "Lax", "else", ""] {
        goes("http://example.com/", &format!("a=b; SameSite={site}"), &["http://example.com/"], &[]);
    }
    refused("http://example.com/", "a=b; SameSite=None", Refused::SameSiteNone);
    goes("https://example.com/", "a=b; SameSite=None; Secure", &["https://example.com/"], &[]);
}
