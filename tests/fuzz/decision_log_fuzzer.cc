#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "cli/log/record_filter.h"
#include "cli/log/record_row.h"
#include "router_service/recording/chain/chain_follower.h"
#include "router_service/recording/chain/log_head.h"
#include "router_service/recording/chain/record_line.h"

namespace penstock {
namespace {

// What `penstock log show` does with a record.
void Show(const router::Record& record) {
  const auto message = cli::ParseMessage(record);
  if (!message.ok()) return;
  cli::RecordFilter filter;
  filter.expert = "e";
  filter.since = absl::UnixEpoch();
  if (filter.MayWant(record)) (void)filter.Wants(*message);
  const std::vector<std::string> row = cli::RecordRow(record, *message);
  if (row.size() != cli::RecordColumns().size()) std::abort();
  // One line, and nothing that moves a terminal's cursor.
  const std::string shown = cli::AlignedRow(row);
  for (size_t i = 0; i + 1 < shown.size(); ++i) {
    if (static_cast<unsigned char>(shown[i]) < 0x20) std::abort();
  }
}

// Of lines as they come: what is accepted is a chain, so a changed copy is not.
void Follow(absl::string_view text) {
  router::ChainFollower chain;
  chain.BeginSegment(1);
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const router::RecordHash before = chain.hash();
    const auto record = chain.Take(line);
    if (!record.ok()) {
      if (record.status().message().empty()) std::abort();
      return;
    }
    const auto parsed = router::ParseRecordLine(line);
    if (!parsed.ok() || parsed->hash != chain.hash()) std::abort();
    if (chain.segment_records() > 1 && parsed->previous != before) std::abort();
    Show(*record);
  }
}

// Lines whose hashes are right around contents that are not: hashes are not guessed.
void FollowSealed(absl::string_view text) {
  std::string log;
  router::RecordHash last{};
  uint64_t sequence = 0;
  const auto add = [&](router::RecordKind kind, absl::string_view content) {
    std::string record;
    router::AppendRecord(++sequence, absl::UnixEpoch(), kind, content, record);
    const router::RecordHash hash = router::HashRecord(last, record);
    router::AppendRecordLine(last, hash, record, log);
    last = hash;
  };
  add(router::RecordKind::kHeader,
      R"({"log":"0123456789abcdef","router":"00000001","schema_version":1,"oldest_sequence":"1"})");
  for (const absl::string_view content : absl::StrSplit(text, '\n')) {
    if (content.empty()) continue;
    add(static_cast<router::RecordKind>(static_cast<unsigned char>(content[0]) %
                                        router::kRecordKinds),
        content.substr(1));
  }
  Follow(log);
}

}  // namespace
}  // namespace penstock

// The first byte chooses: raw lines of a segment, contents of records, or a head.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const absl::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      penstock::Follow(text);
      break;
    case 1:
      penstock::FollowSealed(text);
      break;
    default:
      if (const auto head = penstock::router::ParseLogHead(text);
          head.ok() && penstock::router::FormatLogHead(*head) != text) {
        std::abort();
      }
  }
  return 0;
}
