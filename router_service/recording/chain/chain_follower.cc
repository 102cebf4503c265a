#include "router_service/recording/chain/chain_follower.h"

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "google/protobuf/util/json_util.h"
#include "penstock/v1/decision_log.pb.h"
#include "router_service/recording/chain/segment_file.h"

namespace penstock::router {
namespace {

// Fields of a later version are passed over.
absl::Status Parse(const Record& record, google::protobuf::Message& message) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto parsed = google::protobuf::util::JsonStringToMessage(
      google::protobuf::StringPiece(record.content.data(), record.content.size()), &message,
      options);
  if (parsed.ok()) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("its ", RecordKindName(record.kind), " is no such message as JSON"));
}

}  // namespace

void ChainFollower::BeginSegment(uint64_t sequence) {
  segment_ = sequence;
  segment_records_ = 0;
  closed_ = stopped_ = broken_ = false;
}

void ChainFollower::Broken() {
  broken_ = true;
  linked_ = false;
}

absl::StatusOr<Record> ChainFollower::Take(absl::string_view text) {
  if (broken_) return absl::DataLossError("stands after what is broken");
  const auto line = ParseRecordLine(text);
  const auto record = line.ok() ? ParseRecord(line->record) : line.status();
  absl::Status status =
      record.ok() ? Check(*line, *record) : absl::DataLossError(record.status().message());
  if (!status.ok()) {
    Broken();
    return status;
  }
  if (!began_) {
    began_ = true;
    first_sequence_ = record->sequence;
    anchor_ = line->previous;
  }
  linked_ = true;
  sequence_ = record->sequence;
  hash_ = line->hash;
  ++segment_records_;
  return *record;
}

absl::Status ChainFollower::Check(const RecordLine& line, const Record& record) {
  if (HashRecord(line.previous, line.record) != line.hash) {
    return absl::DataLossError("record and prev_hash do not have this hash");
  }
  if (closed_) return absl::DataLossError("stands after the segment's closing record");
  if (linked_ && record.sequence != sequence_ + 1) {
    return absl::DataLossError(absl::StrCat("its sequence is ", record.sequence, ", wanted ",
                                            sequence_ + 1, " after that of the record before"));
  }
  if (linked_ && line.previous != hash_) {
    return absl::DataLossError(absl::StrCat("prev_hash is not the hash of record ", sequence_));
  }
  if (record.sequence == 1 && line.previous != RecordHash{}) {
    return absl::DataLossError("is the first record, but has a prev_hash");
  }
  const bool first = segment_records_ == 0;
  if (first != (record.kind == RecordKind::kHeader)) {
    return absl::DataLossError(first ? "wanted the segment's header first"
                                     : "is a header within the segment");
  }
  if (first) return TakeHeader(record);
  return record.kind == RecordKind::kClose ? TakeClose(record) : absl::OkStatus();
}

absl::Status ChainFollower::TakeHeader(const Record& record) {
  if (record.sequence != segment_) {
    return absl::DataLossError(absl::StrCat("its sequence is ", record.sequence,
                                            ", but the file is named after ", segment_));
  }
  v1::SegmentHeader header;
  PENSTOCK_RETURN_IF_ERROR(Parse(record, header));
  if (header.schema_version() != kSchemaVersion) {
    return absl::DataLossError(absl::StrCat("header.schema_version is ", header.schema_version(),
                                            ", this build reads ", kSchemaVersion));
  }
  if (!IsLogId(header.log())) {
    return absl::DataLossError("header.log: wanted 16 hex digits");
  }
  if (!log_.empty() && header.log() != log_) {
    return absl::DataLossError(
        absl::StrCat("is of log ", header.log(), ", the segment before of log ", log_));
  }
  if (header.oldest_sequence() < oldest_sequence_ || header.oldest_sequence() > record.sequence) {
    return absl::DataLossError(absl::StrCat("header.oldest_sequence is ", header.oldest_sequence(),
                                            ", wanted ", oldest_sequence_, " to ",
                                            record.sequence));
  }
  log_ = header.log();
  oldest_sequence_ = header.oldest_sequence();
  return absl::OkStatus();
}

absl::Status ChainFollower::TakeClose(const Record& record) {
  v1::SegmentClose close;
  PENSTOCK_RETURN_IF_ERROR(Parse(record, close));
  if (close.records() != segment_records_ + 1) {
    return absl::DataLossError(absl::StrCat("close.records is ", close.records(),
                                            ", this is number ", segment_records_ + 1,
                                            " of the segment"));
  }
  closed_ = true;
  stopped_ = close.stopped();
  return absl::OkStatus();
}

}  // namespace penstock::router
