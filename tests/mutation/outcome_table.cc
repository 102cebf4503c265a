#include "tests/mutation/outcome_table.h"

#include <grpcpp/support/status_code_enum.h>

#include <algorithm>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace penstock {
namespace {

constexpr uint64_t kMostFaults = 40;
constexpr char kLeft[] = "(left)";

std::string CodeName(const grpc::Status& status) {
  return absl::StatusCodeToString(static_cast<absl::StatusCode>(status.error_code()));
}

// gRPC's own way to say that bytes are no message of the RPC's, and that a unary RPC came with none
// or two. It is the client's fault, whatever the code's name says.
bool SaysNoRequest(const std::string& message) {
  return absl::StartsWith(message, "the request is not a ") ||
         message == "the client sent no request" || message == "Unable to parse request";
}

// A mutated request is its sender's fault: nothing that reaches the services may make them say that
// they are broken, or anything that no one foresaw.
std::string Fault(const Outcome& outcome) {
  if (outcome.overdue) return "no status";
  if (outcome.lost) return "the connection was lost each time";
  if (!outcome.broken_answer.empty()) return outcome.broken_answer;
  switch (outcome.status.error_code()) {
    case grpc::StatusCode::INTERNAL:
      return SaysNoRequest(outcome.status.error_message()) ? "" : "INTERNAL";
    case grpc::StatusCode::UNKNOWN:
    case grpc::StatusCode::DATA_LOSS:
      return CodeName(outcome.status);
    default:
      return "";
  }
}

}  // namespace

void OutcomeTable::Add(const MutatedCall& call, const Outcome& outcome) {
  ++calls_;
  static const std::set<std::string> known = [] {
    std::set<std::string> paths;
    for (const Seed& seed : SeedsFor(Target::kGateway)) {
      if (seed.request != nullptr) paths.insert(seed.path);
    }
    return paths;
  }();
  const std::string rpc = known.count(call.path) == 0 ? "(unknown methods and reflection)"
                                                      : call.path.substr(call.path.rfind('/') + 1);
  lost_connections_ += static_cast<uint64_t>(outcome.lost_connections);
  const grpc::StatusCode code = outcome.status.error_code();
  const bool left = outcome.left && (code == grpc::CANCELLED || code == grpc::UNAVAILABLE);
  const std::string column = left ? kLeft : CodeName(outcome.status);
  ++cells_[{TargetName(call.target), rpc}][column];
  const std::string fault = Fault(outcome);
  if (fault.empty() || ++fault_count_ > kMostFaults) return;
  absl::StrAppend(&faults_, "--only=", call.number, " ", TargetName(call.target), " ", call.path,
                  ": ", fault, ": ", absl::CHexEscape(outcome.status.error_message()), "\n");
}

std::string OutcomeTable::Text() const {
  std::set<std::string> columns;
  std::map<std::string, uint64_t> total;
  for (const auto& [row, cells] : cells_) {
    for (const auto& [column, count] : cells) {
      columns.insert(column);
      total[column] += count;
    }
  }
  std::string text = absl::StrFormat("%-44s", "calls by code");
  const auto width = [](const std::string& column) {
    return std::max<int>(static_cast<int>(column.size()), 6) + 1;
  };
  for (const std::string& column : columns) {
    absl::StrAppend(&text, absl::StrFormat("%*s", width(column), column));
  }
  const auto append = [&](const std::string& name, const std::map<std::string, uint64_t>& cells) {
    absl::StrAppend(&text, absl::StrFormat("\n%-44s", name));
    for (const std::string& column : columns) {
      const auto it = cells.find(column);
      absl::StrAppend(&text,
                      absl::StrFormat("%*d", width(column), it == cells.end() ? 0 : it->second));
    }
  };
  for (const auto& [row, cells] : cells_) append(absl::StrCat(row.first, " ", row.second), cells);
  append("all", total);
  return absl::StrCat(text, "\n", lost_connections_, " sent again: their connection was lost\n");
}

}  // namespace penstock
