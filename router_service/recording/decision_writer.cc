#include "router_service/recording/decision_writer.h"

#include <numeric>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/utf8.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "google/protobuf/util/json_util.h"

namespace penstock::router {
namespace {

constexpr size_t kEventsPerDecision = 8;
constexpr size_t kMostAudits = 1024;
constexpr size_t kMostKept = size_t{64} << 10;  // bytes of a text's room
// How often an idle log is looked after.
constexpr absl::Duration kTick = absl::Minutes(1);

constexpr size_t IndexOf(RecordKind kind) { return static_cast<size_t>(kind); }

void AddTo(RecordCounts& counts, const RecordCounts& more) {
  for (size_t i = 0; i < counts.size(); ++i) counts[i] += more[i];
}

uint64_t SumOf(const RecordCounts& counts) {
  return std::accumulate(counts.begin(), counts.end(), uint64_t{0});
}

// False where protobuf makes no JSON of it.
bool ToJson(const google::protobuf::Message& message, std::string& text) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  // A string is filled up to its capacity each time that JSON is appended to it.
  if (text.capacity() > kMostKept) text = std::string();
  text.clear();
  return google::protobuf::util::MessageToJsonString(message, &text, options).ok();
}

bool IsText(const google::protobuf::FieldDescriptor& field) {
  return field.type() == google::protobuf::FieldDescriptor::TYPE_STRING;
}

// Callers' metadata and experts' errors may be any bytes, and protobuf writes nothing for a string
// that is no UTF-8.
bool AllUtf8(const google::protobuf::Message& message) {
  const google::protobuf::Reflection& of = *message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  of.ListFields(message, &fields);
  std::string buffer;
  for (const google::protobuf::FieldDescriptor* const field : fields) {
    const bool nested = field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE;
    if (!nested && !IsText(*field)) continue;
    const int values = field->is_repeated() ? of.FieldSize(message, field) : 1;
    for (int i = 0; i < values; ++i) {
      const bool good =
          nested ? AllUtf8(field->is_repeated() ? of.GetRepeatedMessage(message, field, i)
                                                : of.GetMessage(message, field))
                 : IsUtf8(field->is_repeated()
                              ? of.GetRepeatedStringReference(message, field, i, &buffer)
                              : of.GetStringReference(message, field, &buffer));
      if (!good) return false;
    }
  }
  return true;
}

void EscapeOthers(google::protobuf::Message& message) {
  const google::protobuf::Reflection& of = *message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  of.ListFields(message, &fields);
  for (const google::protobuf::FieldDescriptor* const field : fields) {
    const bool nested = field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE;
    const int values = field->is_repeated() ? of.FieldSize(message, field) : 1;
    for (int i = 0; i < values && (nested || IsText(*field)); ++i) {
      if (nested) {
        EscapeOthers(field->is_repeated() ? *of.MutableRepeatedMessage(&message, field, i)
                                          : *of.MutableMessage(&message, field));
      } else if (field->is_repeated()) {
        const std::string text = of.GetRepeatedString(message, field, i);
        if (!IsUtf8(text)) of.SetRepeatedString(&message, field, i, absl::CHexEscape(text));
      } else {
        const std::string text = of.GetString(message, field);
        if (!IsUtf8(text)) of.SetString(&message, field, absl::CHexEscape(text));
      }
    }
  }
}

// A field more of the object that `text` is.
void AddField(absl::string_view name, absl::string_view value, std::string& text) {
  text.pop_back();
  absl::StrAppend(&text, text.size() > 1 ? "," : "", "\"", name, "\":", value, "}");
}

}  // namespace

bool IsEventLine(absl::string_view line) {
  // The first field that is set, in the schema's order; every event has a sequence.
  return absl::StartsWith(line, "{\"router\":") || absl::StartsWith(line, "{\"sequence\":");
}

DecisionWriter::DecisionWriter(std::unique_ptr<LogWriter> log, Options options)
    : options_(options), log_(std::move(log)) {
  NoteState();
  thread_ = std::thread([this] { Run(); });
}

DecisionWriter::~DecisionWriter() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  thread_.join();
  uint64_t last_event = 0;
  {
    MutexLock lock(mutex_);
    last_event = last_event_;
  }
  if (last_event == 0) return;
  v1::PacerEvent end;
  end.set_router(options_.router);
  end.set_sequence(last_event + 1);
  end.mutable_end()->set_lost(dropped());
  WriteMessage(RecordKind::kEvent, end);
}

void DecisionWriter::Append(std::shared_ptr<const v1::Decision> decision,
                            std::unique_ptr<v1::Features> features,
                            std::unique_ptr<v1::ChoiceRecord> choice) {
  size_t bytes = decision->ByteSizeLong();
  if (features != nullptr) bytes += features->ByteSizeLong();
  if (choice != nullptr) bytes += choice->ByteSizeLong();
  Push(RecordKind::kDecision, bytes,
       Decided{std::move(decision), std::move(features), std::move(choice)});
}

void DecisionWriter::Append(std::unique_ptr<v1::AuditRecord> audit) {
  const size_t bytes = audit->ByteSizeLong();
  Push(RecordKind::kAudit, bytes, std::move(audit));
}

void DecisionWriter::Record(std::shared_ptr<v1::PacerEvent> event) {
  event->set_router(options_.router);
  const size_t bytes = event->ByteSizeLong();
  Push(RecordKind::kEvent, bytes, std::move(event));
}

bool DecisionWriter::Fits(RecordKind kind, size_t bytes) const {
  const uint64_t waiting = waiting_[IndexOf(kind)];
  if (kind == RecordKind::kAudit) return waiting < kMostAudits;
  const size_t most =
      options_.most_decisions * (kind == RecordKind::kEvent ? kEventsPerDecision : 1);
  return waiting < most && waiting_bytes_ + bytes <= options_.most_bytes;
}

bool DecisionWriter::HalfFull() const {
  return waiting_[IndexOf(RecordKind::kDecision)] > options_.most_decisions / 2 ||
         waiting_[IndexOf(RecordKind::kEvent)] > options_.most_decisions * kEventsPerDecision / 2 ||
         waiting_bytes_ > options_.most_bytes / 2;
}

void DecisionWriter::Push(RecordKind kind, size_t bytes, Item item) {
  bool wake = false;
  {
    MutexLock lock(mutex_);
    if (kind == RecordKind::kEvent) {
      last_event_ = std::get<std::shared_ptr<v1::PacerEvent>>(item)->sequence();
    }
    if (!Fits(kind, bytes)) {
      ++newly_dropped_[IndexOf(kind)];
      ++dropped_[IndexOf(kind)];
    } else {
      if (SumOf(newly_dropped_) > 0) queue_.emplace_back(std::exchange(newly_dropped_, {}));
      queue_.push_back(std::move(item));
      ++waiting_[IndexOf(kind)];
      waiting_bytes_ += bytes;
    }
    // Once a group, so that most appends make no system call.
    wake = waiting_for_ == Waiting::kItems || (waiting_for_ == Waiting::kGroup && HalfFull());
    if (wake) waiting_for_ = Waiting::kNothing;
  }
  if (wake) wake_.NotifyOne();
}

DecisionWriter::State DecisionWriter::state() const {
  MutexLock lock(mutex_);
  State state = state_;
  AddTo(state.dropped, dropped_);
  return state;
}

uint64_t DecisionWriter::dropped() const { return SumOf(state().dropped); }

bool DecisionWriter::WaitForItems(std::deque<Item>& batch) {
  MutexLock lock(mutex_);
  if (queue_.empty() && SumOf(newly_dropped_) == 0 && !stopping_) {
    waiting_for_ = Waiting::kItems;
    wake_.WaitFor(mutex_, kTick);
  }
  // What comes together is synced together.
  if (!stopping_ && (!queue_.empty() || SumOf(newly_dropped_) > 0) && !HalfFull()) {
    waiting_for_ = Waiting::kGroup;
    wake_.WaitFor(mutex_, options_.sync_interval);
  }
  waiting_for_ = Waiting::kNothing;
  batch.swap(queue_);
  writing_ = waiting_;
  writing_bytes_ = waiting_bytes_;
  if (SumOf(newly_dropped_) > 0) batch.emplace_back(std::exchange(newly_dropped_, {}));
  return !batch.empty() || !stopping_;
}

void DecisionWriter::Run() {
  std::deque<Item> batch;
  while (WaitForItems(batch)) {
    for (const Item& item : batch) Write(item);
    if (batch.empty()) {
      log_->Tick();
    } else {
      // What it loses is in the log's own count, and the last error in its state.
      (void)log_->Sync();
    }
    batch.clear();
    NoteState();
  }
}

void DecisionWriter::Write(const Item& item) {
  if (const auto* const dropped = std::get_if<RecordCounts>(&item)) {
    for (const RecordKind kind : {RecordKind::kDecision, RecordKind::kEvent, RecordKind::kAudit}) {
      log_->NoteMissing(kind, (*dropped)[IndexOf(kind)]);
    }
  } else if (const auto* const event = std::get_if<std::shared_ptr<v1::PacerEvent>>(&item)) {
    WriteMessage(RecordKind::kEvent, **event);
  } else if (const auto* const audit = std::get_if<std::unique_ptr<v1::AuditRecord>>(&item)) {
    WriteMessage(RecordKind::kAudit, **audit);
  } else {
    const Decided& decided = std::get<Decided>(item);
    bool written = false;
    if (AllUtf8(*decided.decision)) {
      written = ToJson(*decided.decision, text_);
    } else {
      v1::Decision escaped = *decided.decision;
      EscapeOthers(escaped);
      written = ToJson(escaped, text_);
    }
    if (written && decided.choice != nullptr) {
      written = ToJson(*decided.choice, part_);
      AddField("choice", part_, text_);
    }
    if (written && decided.features != nullptr) {
      written = ToJson(*decided.features, part_);
      AddField("features", part_, text_);
    }
    if (!written) return Drop(RecordKind::kDecision);
    log_->Append(RecordKind::kDecision, text_);
  }
}

void DecisionWriter::WriteMessage(RecordKind kind, const google::protobuf::Message& message) {
  if (!ToJson(message, text_)) return Drop(kind);
  log_->Append(kind, text_);
}

void DecisionWriter::Drop(RecordKind kind) {
  log_->NoteMissing(kind);
  MutexLock lock(mutex_);
  ++dropped_[IndexOf(kind)];
}

void DecisionWriter::NoteState() {
  MutexLock lock(mutex_);
  for (size_t i = 0; i < waiting_.size(); ++i) waiting_[i] -= writing_[i];
  waiting_bytes_ -= writing_bytes_;
  writing_ = {};
  writing_bytes_ = 0;
  state_.dropped = log_->lost();
  state_.failures = log_->failures();
  state_.sequence = log_->sequence();
  state_.bytes = log_->bytes();
  state_.segments = log_->segments();
  state_.last_error = std::string(log_->last_error().message());
}

}  // namespace penstock::router
