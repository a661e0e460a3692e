//! What the packet path counts.

use super::{families, text::Text};
use crate::{
    admin::{View, resource::vips},
    dataplane::VipStats,
};

/// What goes before the name of an outcome that is a drop.
const DROP: &str = "drop_";

pub(super) fn write(text: &mut Text, view: &View) {
    let each = |text: &mut Text, of: fn(&VipStats) -> [u64; 3]| {
        for vip in &view.stats.vips {
            for (direction, count) in ["forwarded", "replied", "proxied"].into_iter().zip(of(vip)) {
                text.sample(&[&vip.vip, &vip.service, direction], count);
            }
        }
    };
    text.family(&families::L4_PACKETS);
    each(text, |it| [it.traffic.packets, it.traffic.reply_packets, it.proxied.packets]);
    text.family(&families::L4_BYTES);
    each(text, |it| [it.traffic.bytes, it.traffic.reply_bytes, it.proxied.bytes]);
    text.family(&families::L4_BACKENDS);
    for vip in vips(view) {
        text.sample(&[&vip.vip, &vip.service], vip.backends_active);
    }
    text.family(&families::L4_REFUSED);
    for vip in &view.stats.vips {
        text.sample(&[&vip.vip, &vip.service], vip.events.sources_refused);
    }
    text.family(&families::L4_DROPS);
    for counted in &view.stats.outcomes {
        if let Some(reason) = counted.outcome.strip_prefix(DROP) {
            text.sample(&[reason], counted.packets);
        }
    }
    text.family(&families::L4_OUTCOMES);
    for counted in view.stats.outcomes.iter().filter(|it| !it.outcome.starts_with(DROP)) {
        text.sample(&[counted.outcome], counted.packets);
    }
    text.family(&families::L4_STEERED);
    for counted in &view.stats.steering {
        text.sample(&[counted.outcome], counted.lookups);
    }
}
