//! VIPs of the proxy's listeners.

use super::*;

/// Backend names behind current and previous slots.
fn listener(protocol: ListenerProtocol, vips: &[Vip]) -> Listener {
    Listener {
        vips: vips.iter().copied().collect(),
        binds: [].into(),
        protocol,
        host: HostPattern::Any,
        tls: None,
        takes_proxy_protocol: false,
        sources: Vec::new(),
        connections_max: 1,
        http: HttpOptions::default(),
        idle_timeout: Duration::from_mins(1),
    }
}

fn proxied(mut desired: Desired, listeners: &[(&str, Listener)]) -> Desired {
    let listeners = listeners.iter().map(|(name, it)| ((*name).to_owned(), it.clone()));
    desired.proxy.listeners = listeners.collect();
    desired
}

#[test]
fn the_vips_of_listeners_are_proxied_and_shared() {
    let (one, two) = (vip(1, 443), vip6(53));
    let listeners = [
        ("shop", listener(ListenerProtocol::Https, &[one])),
        ("blog", listener(ListenerProtocol::Https, &[one])),
        ("names", listener(ListenerProtocol::Udp, &[two])),
    ];
    let desired = proxied(desired(&[]), &listeners);
    let next = image(&desired, &observed(), &Image::default());
    assert_eq!(next.vips[&one].service, "blog,shop");
    assert_eq!(next.vips[&one].entry.mode_name(), Some("proxy"));
    assert_eq!(next.vips[&two].service, "names");
    assert_eq!(next.locals, [one.address, two.address].into());
    assert_eq!(next.features, Features(Features::IPV4 | Features::IPV6 | Features::PROXY));
    let summary = Summary::new(&Image::default(), &next).to_string();
    assert_eq!(
        summary,
        "+ 192.0.2.1:443/tcp of blog,shop, proxy\n+ [2001:db8::10]:53/udp of names, proxy\n"
    );
    assert_eq!(image(&desired, &observed(), &next), next, "compiling again changes nothing");

    let mut tables = Tables::default();
    let Ok(()) = apply(&diff(&Image::default(), &next), &mut tables);
    assert_eq!(tables.image(), next);
    assert!(tables.leftovers().is_empty());
}

#[test]
fn a_vip_moves_between_a_service_and_the_proxy_without_a_gap() {
    let at = vip(1, 443);
    let forwarded = desired(&[("web", service(&[at], &[1, 2]))]);
    let given = proxied(desired(&[]), &[("shop", listener(ListenerProtocol::Tcp, &[at]))]);
    let mut running = Image::default();
    let mut tables = Tables::default();
    for desired in [&forwarded, &given, &forwarded, &given] {
        let next = image(desired, &observed(), &running);
        for op in diff(&running, &next).ops {
            let Ok(()) = apply(&Plan { ops: vec![op] }, &mut tables);
            // At every moment the VIP is there or not yet, with what its entry points to.
            if let Some(entry) = tables.vips.get(&at) {
                let is_local = tables.locals.contains(&at.address);
                let is_served = if entry.is_proxied() {
                    is_local
                } else {
                    tables.rings.contains_key(&entry.index)
                };
                assert!(is_served);
                assert!(!entry.is_proxied() || tables.features.has(Features::PROXY));
            }
        }
        assert_eq!(tables.image(), next);
        let index = running.vips.get(&at).map(|vip| vip.entry.index);
        assert!(index.is_none_or(|index| index == next.vips[&at].entry.index), "its counters stay");
        running = next;
    }
    assert_eq!(running.vips[&at].backends.len(), 0);
    assert_eq!(tables.rings.len(), 0);
    let line = Summary::new(&image(&forwarded, &observed(), &Image::default()), &running);
    assert!(line.to_string().starts_with("~ 192.0.2.1:443/tcp of shop, l2dsr -> proxy"), "{line}");
}

#[test]
fn vips_that_cannot_be_proxied_are_refused_in_words() {
    let at = vip(1, 443);
    let web = desired(&[("web", service(&[at], &[1]))]);
    let refused = |desired: &Desired| {
        let errors = compile(desired, &observed(), &Image::default()).expect_err("refused");
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let of = |protocol, vip| [("shop", listener(protocol, &[vip]))];
    let texts = [
        refused(&proxied(web, &of(ListenerProtocol::Https, at))),
        refused(&proxied(desired(&[]), &of(ListenerProtocol::Tcp, vip(1, 0)))),
        refused(&proxied(desired(&[]), &of(ListenerProtocol::Udp, at))),
        refused(&proxied(desired(&[]), &of(ListenerProtocol::Http, vip6(80)))),
    ];
    insta::assert_snapshot!(texts.join("\n"), @r#"
    VIP 192.0.2.1:443/tcp belongs to both service "web" and listener "shop": its packets are either forwarded or given to the proxy
    listener "shop": VIP 192.0.2.1:*/tcp has all ports; the proxy needs one
    listener "shop": VIP 192.0.2.1:443/tcp is not a udp VIP, which the listener needs
    listener "shop": VIP [2001:db8::10]:80/udp is not a tcp VIP, which the listener needs
    "#);

    let many: Vec<Vip> = (1..=VIPS_MAX as u16 + 1).map(|port| vip(1, port)).collect();
    let listeners = [
        ("a", listener(ListenerProtocol::Tcp, &many[1..])),
        ("b", listener(ListenerProtocol::Tcp, &many[1..])),
    ];
    let full = proxied(desired(&[]), &listeners);
    assert_eq!(image(&full, &observed(), &Image::default()).vips.len(), VIPS_MAX as usize);
    let over = proxied(desired(&[("web", service(&many[..1], &[1]))]), &listeners);
    assert_eq!(refused(&over), "4097 VIPs are more than the limit of 4096");
}
