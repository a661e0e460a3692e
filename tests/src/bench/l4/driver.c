// SPDX-License-Identifier: GPL-2.0
/*
 * The clock's housing: turns one kernel test run with `repeat = N` into N different packets.
 *
 * The kernel does not restore the packet between repeats, so an encapsulating program would
 * encapsulate its own output. lb_step runs first in every repeat: it takes off the outer header
 * the program under test has put on in the repeat before, writes the next flow's addresses into
 * the packet and tail-calls the program under test, which stays a black box.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_helpers.h>

#define FLOWS_MAX 131072
#define OUTER_BYTES ((int)sizeof(struct iphdr))

/* What one flow changes in the packet, in network byte order. */
struct flow {
	__u32 source;
	__u16 port;
	__u16 ip_check;
};

struct state {
	__u32 cursor;		/* next entry of lb_flows */
	__u32 flow_count;
	__u32 packet_bytes;	/* length without an outer header */
	__u32 failed_count;	/* steps that could not prepare a packet */
	__u64 stripped_count;	/* outer headers taken off: one for every packet encapsulated */
	__u64 prepared_count;	/* packets handed to the program under test */
	__u64 eth_0;		/* the client's Ethernet header, put back after a strip: bytes 0-7 */
	__u32 eth_8;		/* bytes 8-11 */
	__u16 eth_12;		/* bytes 12-13 */
	__u16 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct state);
} lb_state SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FLOWS_MAX);
	__type(key, __u32);
	__type(value, struct flow);
} lb_flows SEC(".maps");

/* A tail call may only join programs that agree on multi-buffer support: hence two of each. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} lb_target SEC(".maps"), lb_target_frags SEC(".maps");

static __always_inline int strip(struct xdp_md *ctx, struct state *state)
{
	void *data, *end;

	if (bpf_xdp_adjust_head(ctx, OUTER_BYTES))
		return -1;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (data + ETH_HLEN > end)
		return -1;
	*(__u64 *)data = state->eth_0;
	*(__u32 *)(data + 8) = state->eth_8;
	*(__u16 *)(data + 12) = state->eth_12;
	state->stripped_count++;
	return 0;
}

static __always_inline int prepare(struct xdp_md *ctx, struct state *state)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct flow *flow;
	struct iphdr *ip;
	__u32 cursor;

	if ((__u32)(ctx->data_end - ctx->data) != state->packet_bytes) {
		if (strip(ctx, state))
			return -1;
		data = (void *)(long)ctx->data;
		end = (void *)(long)ctx->data_end;
	}
	cursor = state->cursor;
	flow = bpf_map_lookup_elem(&lb_flows, &cursor);
	if (!flow)
		return -1;
	cursor++;
	state->cursor = cursor < state->flow_count ? cursor : 0;

	ip = data + ETH_HLEN;
	if ((void *)(ip + 1) + sizeof(__u16) > end)
		return -1;
	ip->saddr = flow->source;
	ip->check = flow->ip_check;
	*(__u16 *)(ip + 1) = flow->port;
	/*
	 * Atomic for its side effect: it drains the store buffer. Without it a program that reads
	 * wider words than those just written would pay for a failed store-to-load forwarding, which
	 * no packet that came from a wire costs.
	 */
	__sync_fetch_and_add(&state->prepared_count, 1);
	return 0;
}

static __always_inline int step(struct xdp_md *ctx, void *target)
{
	struct state *state;
	__u32 zero = 0;

	state = bpf_map_lookup_elem(&lb_state, &zero);
	if (!state)
		return XDP_ABORTED;
	if (prepare(ctx, state))
		state->failed_count++;
	else
		bpf_tail_call_static(ctx, target, 0);
	return XDP_ABORTED;
}

SEC("xdp") int lb_step(struct xdp_md *ctx)
{
	return step(ctx, &lb_target);
}

SEC("xdp.frags") int lb_step_frags(struct xdp_md *ctx)
{
	return step(ctx, &lb_target_frags);
}

/* The baseline: a program that does nothing. */
SEC("xdp") int lb_empty(struct xdp_md *ctx)
{
	return XDP_PASS;
}

/* Grows the packet and does nothing else: the price of the pair grow and strip. */
SEC("xdp") int lb_grow(struct xdp_md *ctx)
{
	if (bpf_xdp_adjust_head(ctx, -OUTER_BYTES))
		return XDP_ABORTED;
	return XDP_TX;
}

char _license[] SEC("license") = "GPL";
