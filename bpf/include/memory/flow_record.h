/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Reports a flow whose entry is about to go. */
#ifndef PORTCULLIS_FLOW_RECORD_H
#define PORTCULLIS_FLOW_RECORD_H

#include "memory/record_share.h"

/* Set when the classifier is loaded. */
const volatile __u32 counts_flows = 0;

static __always_inline void report_flow(const struct flow_key *key, const struct flow *flow, __u32 is_replaced)
{
	struct flow_record *record;

	if (!flow->counts[DIRECTION_EGRESS].packets && !flow->counts[DIRECTION_INGRESS].packets)
		return;
	if (!may_have_record(key->workload_id, RECORD_KIND_FLOW)) {
		count_error(ERROR_FLOW_RECORDS_LOST);
		return;
	}
	record = bpf_ringbuf_reserve(&flow_records, sizeof(*record), 0);
	if (!record) {
		count_error(ERROR_FLOW_RECORDS_LOST);
		return;
	}
	record->header = (struct record_header){
		.time = bpf_ktime_get_ns(),
		.count = 1,
		.workload_id = key->workload_id,
		.table_id = flow->table_id,
		.type = RECORD_FLOW,
	};
	record->key = *key;
	record->is_replaced = is_replaced;
	record->flow = *flow;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

#endif
