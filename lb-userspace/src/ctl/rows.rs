//! How resources look in tables.

use super::table::{Row, bytes, or_dash, share, span};
use crate::{
    admin::resource::{
        BackendChange, BackendResource, ChangeResource, FlowResource, ProgramResource, StatKind,
        StatResource, VipResource,
    },
    runtime::wall_ms,
};

impl Row for VipResource {
    fn headings(wide: bool) -> Vec<&'static str> {
        let mut headings =
            vec!["VIP", "SERVICE", "MODE", "BACKENDS", "RING", "MOVED", "PACKETS", "BYTES"];
        if wide {
            headings.extend([
                "HITS",
                "MISS-PREV",
                "MISS-CUR",
                "OPENED",
                "REFUSED",
                "WINDOW",
                "MODE-REASON",
            ]);
        }
        headings
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let mut cells = vec![
            self.vip.clone(),
            self.service.clone(),
            self.mode.clone(),
            format!("{}/{}", self.backends_active, self.backends_total),
            self.ring_hash.clone(),
            self.moved_slots.to_string(),
            self.packets.to_string(),
            bytes(self.bytes),
        ];
        if wide {
            let left_ms = self.window_ends_ms.saturating_sub(wall_ms());
            cells.extend([
                self.tracked_hits.to_string(),
                self.misses_previous.to_string(),
                self.misses_current.to_string(),
                self.flows_opened.to_string(),
                self.sources_refused.to_string(),
                if left_ms == 0 { "-".to_owned() } else { span(left_ms) },
                or_dash(self.mode_reason.as_deref()),
            ]);
        }
        cells
    }
}

impl Row for BackendResource {
    fn headings(wide: bool) -> Vec<&'static str> {
        let mut headings = vec![
            "SERVICE", "BACKEND", "VIP", "ADDRESS", "MODE", "STATE", "WEIGHT", "SHARE", "HEALTH",
            "PACKETS", "BYTES",
        ];
        if wide {
            headings.extend(["NEXT-HOP", "MTU", "REPLIES", "REPLY-BYTES", "REASON"]);
        }
        headings
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let health = self.health.as_ref().map(|health| {
            let age = span(wall_ms().saturating_sub(health.since_ms));
            format!("{} {age}", if health.up { "up" } else { "down" })
        });
        let mut cells = vec![
            self.service.clone(),
            self.backend.clone(),
            self.vip.clone(),
            self.address.clone(),
            self.mode.clone(),
            self.state.clone(),
            self.weight.to_string(),
            share(self.ring_share),
            or_dash(health.as_deref()),
            self.packets.to_string(),
            bytes(self.bytes),
        ];
        if wide {
            let hop = self.next_hop.as_ref().map(|hop| format!("{} {}", hop.interface, hop.mac));
            cells.extend([
                or_dash(hop.as_deref()),
                self.mtu_bytes.to_string(),
                self.reply_packets.to_string(),
                bytes(self.reply_bytes),
                or_dash(self.state_reason.as_deref()),
            ]);
        }
        cells
    }
}

impl Row for FlowResource {
    fn headings(wide: bool) -> Vec<&'static str> {
        let mut headings = vec!["TABLE", "PROTO", "CLIENT", "VIP", "SERVICE", "BACKEND", "IDLE"];
        if wide {
            headings.extend(["TRANSLATED", "CLOSING"]);
        }
        headings
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let mut cells = vec![
            self.table.name().to_owned(),
            self.protocol.clone(),
            self.client.clone(),
            self.vip.clone(),
            or_dash(self.service.as_deref()),
            or_dash(self.backend.as_deref()),
            span(self.idle_ms),
        ];
        if wide {
            cells.push(or_dash(self.translated.as_deref()));
            cells.push(if self.closing { "yes" } else { "no" }.to_owned());
        }
        cells
    }
}

impl Row for StatResource {
    fn headings(_wide: bool) -> Vec<&'static str> {
        vec!["KIND", "NAME", "PACKETS", "BYTES"]
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let kind = match self.kind {
            StatKind::Forward => "forward",
            StatKind::Reply => "reply",
            StatKind::Outcome => "outcome",
            StatKind::Event => "event",
            StatKind::Steer => "steer",
        };
        let size = self.bytes.map(|count| if wide { count.to_string() } else { bytes(count) });
        vec![kind.to_owned(), self.name.clone(), self.packets.to_string(), or_dash(size.as_deref())]
    }
}

impl Row for ProgramResource {
    fn headings(wide: bool) -> Vec<&'static str> {
        let mut headings = vec!["PROGRAM", "ID", "INTERFACE", "ATTACHED"];
        if wide {
            headings.extend(["TAG", "JIT", "VERIFIED", "RUNS", "RUN-TIME", "FEATURES"]);
        }
        headings
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let mut cells = vec![
            self.name.clone(),
            self.id.to_string(),
            or_dash(self.interface.as_deref()),
            or_dash(self.attach_mode.as_deref()),
        ];
        if wide {
            let verified = self.verified_instructions.map(|count| count.to_string());
            cells.extend([
                self.tag.clone(),
                bytes(self.jit_bytes.into()),
                or_dash(verified.as_deref()),
                self.run_count.to_string(),
                format!("{}ns", self.run_time_ns),
                self.features.join(","),
            ]);
        }
        cells
    }
}

impl Row for ChangeResource {
    fn headings(_wide: bool) -> Vec<&'static str> {
        vec!["ACTION", "VIP", "SERVICE", "MODE", "RING-MOVES", "TRACKED", "BACKENDS"]
    }

    fn cells(&self, _wide: bool) -> Vec<String> {
        let mode = match (&self.mode_before, &self.mode_after) {
            (Some(before), Some(after)) if before != after => format!("{before}->{after}"),
            (before, after) => or_dash(after.as_deref().or(before.as_deref())),
        };
        let backend = |change: &BackendChange| match change.action.as_str() {
            "add" => format!("+{}", change.backend),
            "remove" => format!("-{}", change.backend),
            _ => format!("~{} ({})", change.backend, change.details.join(", ")),
        };
        let backends: Vec<String> = self.backends.iter().map(backend).collect();
        vec![
            self.action.clone(),
            self.vip.clone(),
            self.service.clone(),
            mode,
            share(self.ring_moves),
            self.newly_tracked_slots.to_string(),
            or_dash(Some(backends.join(" ")).filter(|text| !text.is_empty()).as_deref()),
        ]
    }
}
