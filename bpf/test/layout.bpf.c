// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Nothing that runs: one variable of every struct and enum of abi.h, so that all of them are in this object's
 * BTF, from which tools/generate-abi.ts writes the TypeScript codecs (it refuses if one is missing here).
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "abi.h"

/* #define lines are not in BTF. ABI_X stands for X. */
enum abi_constant {
	ABI_PATH_TEXT_MAX = PATH_TEXT_MAX,
	ABI_NAME_TEXT_MAX = NAME_TEXT_MAX,
	ABI_COMM_MAX = COMM_MAX,
	ABI_LEARNED_NAMES_MAX = LEARNED_NAMES_MAX,
	ABI_NAME_DOT_IN_LABEL = NAME_DOT_IN_LABEL,
	ABI_NAME_ZERO = NAME_ZERO,
	ABI_DNS_PORTS_MAX = DNS_PORTS_MAX,
	ABI_EPOCHS = EPOCHS,
	ABI_PROCESSES_CLAIM = PROCESSES_CLAIM,
	ABI_PATHS_CLAIM = PATHS_CLAIM,
	ABI_GATED_CLAIM = GATED_CLAIM,
	ABI_REGISTRATIONS_CLAIM = REGISTRATIONS_CLAIM,
	ABI_CONNECTS_CLAIM = CONNECTS_CLAIM,
	ABI_PATHS_CLAIM_ALL = PATHS_CLAIM_ALL,
	ABI_ANCESTRIES_CLAIM = ANCESTRIES_CLAIM,
	ABI_ANCESTRIES_CLAIM_ALL = ANCESTRIES_CLAIM_ALL,
	ABI_ANCESTORS_MAX = ANCESTORS_MAX,
	ABI_ANCESTRY_NONE = ANCESTRY_NONE,
	ABI_ANCESTRY_UNKNOWN = ANCESTRY_UNKNOWN,
	ABI_UID_UNKNOWN = UID_UNKNOWN,
	ABI_CLAIM_OWNER_ALL = CLAIM_OWNER_ALL,
	ABI_FLOWS_SHARE = FLOWS_SHARE,
	ABI_FRAGMENTS_SHARE = FRAGMENTS_SHARE,
	ABI_DNS_QUERIES_SHARE = DNS_QUERIES_SHARE,
	ABI_DNS_NAMES_SHARE = DNS_NAMES_SHARE,
	ABI_LEARNED_SHARE = LEARNED_SHARE,
	ABI_LIMITS_SHARE = LIMITS_SHARE,
	ABI_HARDWARE_ADDRESS_PREFIX = HARDWARE_ADDRESS_PREFIX,
	ABI_LAST_LISTENERS_SHARE = LAST_LISTENERS_SHARE,
	ABI_DNS_PARTS_SHARE = DNS_PARTS_SHARE,
	ABI_STREAM_LOCKS = STREAM_LOCKS,
	ABI_ICMP_REQUESTS_SHARE = ICMP_REQUESTS_SHARE,
	ABI_RECORDS_SHARE = RECORDS_SHARE,
	ABI_DNS_MESSAGE_MAX = DNS_MESSAGE_MAX,
	ABI_COUNTERS_SHARE = COUNTERS_SHARE,
	ABI_RESPONSE_BUCKETS = RESPONSE_BUCKETS,
	ABI_RESPONSE_FIRST_BUCKET = RESPONSE_FIRST_BUCKET,
	ABI_PLACE_KEY_MAX = PLACE_KEY_MAX,
	ABI_ADDRESS_LENGTH = ADDRESS_LENGTH,
	ABI_PATH_ID_USER = PATH_ID_USER,
	ABI_PATH_ID_MODIFIED = PATH_ID_MODIFIED,
	ABI_SUBJECTS_MAX = SUBJECTS_MAX,
	ABI_ERROR_FILE_MAX = ERROR_FILE_MAX,
};

enum abi_constant abi_constant_layout;
enum direction direction_layout;
enum verdict verdict_layout;
enum reason reason_layout;
enum mode_flag mode_flag_layout;
enum attack_flag attack_flag_layout;
enum application application_layout;
enum ethertype_class ethertype_class_layout;
enum setting_flag setting_flag_layout;
enum gate_flag gate_flag_layout;
enum veth_flag veth_flag_layout;
enum registration_flag registration_flag_layout;
enum workload_flag workload_flag_layout;
enum process_flag process_flag_layout;
enum claim_kind claim_kind_layout;
enum container_flag container_flag_layout;
enum socket_flag socket_flag_layout;
enum flow_flag flow_flag_layout;
enum share_kind share_kind_layout;
enum error error_layout;
enum dns_fault dns_fault_layout;
enum record_kind record_kind_layout;
enum record_type record_type_layout;

struct settings settings_layout;
struct workload workload_layout;
struct device_key device_key_layout;
struct veth_end veth_end_layout;
struct container container_layout;
struct registration_key registration_key_layout;
struct registered_socket registered_socket_layout;
struct registration registration_layout;
struct last_listener_key last_listener_key_layout;
struct gate gate_layout;
struct gated gated_layout;
struct address_key address_key_layout;
struct binary_key binary_key_layout;
struct binary binary_layout;
enum condition_kind condition_kind_layout;
struct condition_key condition_key_layout;
struct condition condition_layout;
struct ruleset ruleset_layout;
struct peer4_key peer4_key_layout;
struct peer6_key peer6_key_layout;
struct port_key port_key_layout;
struct name_key name_key_layout;
struct name_rule name_rule_layout;
struct path_text path_text_layout;
struct named_path named_path_layout;
struct ancestor ancestor_layout;
struct ancestry ancestry_layout;
struct known_ancestry known_ancestry_layout;
struct claim_key claim_key_layout;
struct claim claim_layout;
struct process process_layout;
struct actor actor_layout;
struct socket_owner socket_owner_layout;
struct share_key share_key_layout;
struct share share_layout;
struct place_key place_key_layout;
struct place place_layout;
struct flow_key flow_key_layout;
struct subject subject_layout;
struct flow flow_layout;
struct fragment_key fragment_key_layout;
struct fragment fragment_layout;
struct icmp_request_key icmp_request_key_layout;
struct dns_query_key dns_query_key_layout;
struct dns_query dns_query_layout;
struct dns_name_key dns_name_key_layout;
struct dns_name dns_name_layout;
struct learned_key learned_key_layout;
struct learned_name learned_name_layout;
struct learned learned_layout;
struct stream_lock stream_lock_layout;
struct counter_key counter_key_layout;
struct counter counter_layout;
struct error_site error_site_layout;
struct record_header record_header_layout;
struct record_process record_process_layout;
struct record_packet record_packet_layout;
struct record_message record_message_layout;
struct verdict_record verdict_record_layout;
struct message_record message_record_layout;
struct flow_record flow_record_layout;
struct flow_count flow_count_layout;
struct flow_tcp flow_tcp_layout;
struct flow_response flow_response_layout;
struct connect connect_layout;
struct limit_key limit_key_layout;
struct limit limit_layout;

char LICENSE[] SEC("license") = "GPL";
