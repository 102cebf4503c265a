#include "router_service/combining/vote.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/status_macros.h"
#include "router_service/combining/answer_set.h"

namespace penstock::router {
namespace {

bool IsFloat(DataType type) {
  switch (type) {
    case DataType::kFp16:
    case DataType::kBf16:
    case DataType::kFp32:
    case DataType::kFp64:
      return true;
    case DataType::kBool:
    case DataType::kUint8:
    case DataType::kUint16:
    case DataType::kUint32:
    case DataType::kUint64:
    case DataType::kInt8:
    case DataType::kInt16:
    case DataType::kInt32:
    case DataType::kInt64:
    case DataType::kBytes:
      return false;
  }
  return false;
}

absl::StatusOr<Tensor> VoteShares(const AnswerSet& set, size_t index) {
  const Tensor& like = (*set.answers[0].outputs)[index];
  const size_t width = like.shape.empty() ? 1 : static_cast<size_t>(like.shape.back());
  std::vector<float> shares;
  for (const ExpertAnswer& answer : set.answers) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> values,
                              CheckedFloats(answer.name, (*answer.outputs)[index], false));
    shares.resize(values.size(), 0.0f);
    for (size_t at = 0; width > 0 && at < values.size(); at += width) {
      const auto row = values.begin() + static_cast<std::ptrdiff_t>(at);
      const auto best = std::max_element(row, row + static_cast<std::ptrdiff_t>(width));
      shares[at + static_cast<size_t>(best - row)] += answer.weight;
    }
  }
  return FloatTensor(like.name, like.shape, shares);
}

// The winner of each entry, as the index of the first answer that gave it.
template <typename Value>
std::vector<size_t> Winners(const AnswerSet& set, const std::vector<std::vector<Value>>& values) {
  const size_t count = set.answers.size();
  std::vector<size_t> winners(values[0].size());
  for (size_t at = 0; at < winners.size(); ++at) {
    float most = -1;
    for (size_t i = 0; i < count; ++i) {
      float votes = 0;
      for (size_t j = 0; j < count; ++j) {
        if (values[j][at] == values[i][at]) votes += set.answers[j].weight;
      }
      if (votes > most) {
        most = votes;
        winners[at] = i;
      }
    }
  }
  return winners;
}

absl::StatusOr<Tensor> VoteValues(const AnswerSet& set, size_t index) {
  const Tensor& like = (*set.answers[0].outputs)[index];
  if (like.datatype == DataType::kBytes) {
    std::vector<std::vector<std::string>> values;
    for (const ExpertAnswer& answer : set.answers) {
      absl::StatusOr<std::vector<std::string>> strings = ToStrings((*answer.outputs)[index]);
      if (!strings.ok()) {
        return absl::InternalError(
            absl::StrCat("expert \"", answer.name, "\": ", strings.status().message()));
      }
      values.push_back(*std::move(strings));
    }
    const std::vector<size_t> winners = Winners(set, values);
    std::vector<std::string> won;
    for (size_t at = 0; at < winners.size(); ++at) won.push_back(values[winners[at]][at]);
    return StringTensor(like.name, like.shape, won);
  }
  const size_t size = ElementSize(like.datatype);
  std::vector<std::string> storage(set.answers.size());
  std::vector<std::vector<absl::string_view>> values;
  for (size_t i = 0; i < set.answers.size(); ++i) {
    const Tensor& tensor = (*set.answers[i].outputs)[index];
    if (absl::Status status = ValidateTensor(tensor); !status.ok()) {
      return absl::InternalError(
          absl::StrCat("expert \"", set.answers[i].name, "\": ", status.message()));
    }
    const absl::string_view flat = tensor.data.Flat(storage[i]);
    std::vector<absl::string_view>& entries = values.emplace_back();
    for (size_t at = 0; at < flat.size(); at += size) entries.push_back(flat.substr(at, size));
  }
  const std::vector<size_t> winners = Winners(set, values);
  std::string won;
  for (size_t at = 0; at < winners.size(); ++at) {
    won.append(values[winners[at]][at].data(), size);
  }
  Tensor result = like;
  result.data = Bytes(std::move(won));
  return result;
}

}  // namespace

absl::StatusOr<std::vector<Tensor>> Vote::Combine(absl::Span<const ExpertAnswer> answers) const {
  PENSTOCK_ASSIGN_OR_RETURN(AnswerSet set, MakeAnswerSet(answers));
  for (ExpertAnswer& answer : set.answers) {
    if (one_each_) answer.weight = 1.0f / static_cast<float>(set.answers.size());
  }
  std::vector<Tensor> result = *set.answers[set.heaviest].outputs;
  const int combined = CombinedOutput(result, combined_output_);
  for (size_t i = 0; i < result.size(); ++i) {
    if (!IsFloat(result[i].datatype)) {
      PENSTOCK_ASSIGN_OR_RETURN(result[i], VoteValues(set, i));
    } else if (static_cast<int>(i) == combined && result[i].datatype == DataType::kFp32) {
      PENSTOCK_ASSIGN_OR_RETURN(result[i], VoteShares(set, i));
    }
  }
  return result;
}

}  // namespace penstock::router
