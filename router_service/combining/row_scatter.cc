#include "router_service/combining/row_scatter.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/combining/answer_set.h"

namespace penstock::router {
namespace {

// Bytes of each entry of a BYTES tensor with its length in front.
absl::StatusOr<std::vector<absl::string_view>> RowViews(const Tensor& tensor,
                                                        absl::string_view flat, size_t rows) {
  PENSTOCK_RETURN_IF_ERROR(ValidateTensor(tensor));
  PENSTOCK_ASSIGN_OR_RETURN(const int64_t elements, ElementCount(tensor.shape));
  std::vector<absl::string_view> views;
  if (rows == 0) return views;
  if (tensor.datatype != DataType::kBytes) {
    const size_t size = flat.size() / rows;
    for (size_t row = 0; row < rows; ++row) views.push_back(flat.substr(row * size, size));
    return views;
  }
  const size_t per_row = static_cast<size_t>(elements) / rows;
  size_t at = 0;
  for (size_t row = 0; row < rows; ++row) {
    const size_t first = at;
    for (size_t i = 0; i < per_row; ++i) {
      uint32_t length = 0;
      std::memcpy(&length, flat.data() + at, sizeof(length));
      at += sizeof(length) + length;
    }
    views.push_back(flat.substr(first, at - first));
  }
  return views;
}

struct Place {
  int32_t answer = -1;
  int32_t row = -1;  // in the sub-batch
};

// What stands in each slot of each row: [rows, slots].
struct Slots {
  size_t count = 0;
  std::vector<Place> places;
};

absl::StatusOr<Slots> PlaceAnswers(int64_t rows, absl::Span<const RowAnswer> answers) {
  Slots slots;
  for (const RowAnswer& answer : answers) {
    if (answer.rows.size() != answer.weights.size() || answer.rows.size() != answer.slots.size()) {
      return absl::InternalError(
          absl::StrCat("expert \"", answer.name, "\": rows, weights and slots differ in number"));
    }
    PENSTOCK_RETURN_IF_ERROR(
        CheckSameOutputs(answer.name, *answer.outputs, answers[0].name, *answers[0].outputs, 1));
    for (const Tensor& output : *answer.outputs) {
      if (output.shape.empty() || output.shape[0] != static_cast<int64_t>(answer.rows.size())) {
        return absl::InternalError(absl::StrCat("expert \"", answer.name, "\" answered output \"",
                                                output.name, "\" ", ShapeString(output.shape),
                                                " to ", answer.rows.size(), " rows"));
      }
    }
    for (const int32_t slot : answer.slots) {
      if (slot < 0 || slot > 4096) return absl::InternalError(absl::StrCat("slot ", slot));
      slots.count = std::max(slots.count, static_cast<size_t>(slot) + 1);
    }
  }
  slots.places.resize(static_cast<size_t>(rows) * slots.count);
  for (size_t a = 0; a < answers.size(); ++a) {
    for (size_t i = 0; i < answers[a].rows.size(); ++i) {
      const int32_t row = answers[a].rows[i];
      if (row < 0 || row >= rows) return absl::InternalError(absl::StrCat("row ", row));
      Place& place = slots.places[static_cast<size_t>(row) * slots.count +
                                  static_cast<size_t>(answers[a].slots[i])];
      if (place.answer >= 0) {
        return absl::InternalError(
            absl::StrCat("row ", row, " has two answers in slot ", answers[a].slots[i]));
      }
      place = {static_cast<int32_t>(a), static_cast<int32_t>(i)};
    }
  }
  return slots;
}

absl::StatusOr<Tensor> SumSlots(int64_t rows, absl::Span<const RowAnswer> answers,
                                const Slots& slots, size_t output, bool mixture) {
  const Tensor& like = (*answers[0].outputs)[output];
  std::vector<std::vector<float>> values;
  for (const RowAnswer& answer : answers) {
    PENSTOCK_ASSIGN_OR_RETURN(values.emplace_back(),
                              CheckedFloats(answer.name, (*answer.outputs)[output], mixture));
  }
  size_t width = 1;
  for (size_t i = 1; i < like.shape.size(); ++i) width *= static_cast<size_t>(like.shape[i]);
  std::vector<float> sum(static_cast<size_t>(rows) * width, 0.0f);
  for (size_t at = 0; at < slots.places.size(); ++at) {  // slot order within each row
    const Place& place = slots.places[at];
    if (place.answer < 0) continue;
    const size_t a = static_cast<size_t>(place.answer);
    const size_t i = static_cast<size_t>(place.row);
    const float weight = answers[a].weights[i];
    float* to = sum.data() + at / slots.count * width;
    const float* from = values[a].data() + i * width;
    for (size_t j = 0; j < width; ++j) to[j] += weight * from[j];
  }
  std::vector<int64_t> shape = like.shape;
  shape[0] = rows;
  if (mixture) {
    PENSTOCK_RETURN_IF_ERROR(Renormalise(
        absl::MakeSpan(sum), shape.size() < 2 ? 1 : static_cast<size_t>(shape.back()), like.name));
  }
  return FloatTensor(like.name, std::move(shape), sum);
}

absl::StatusOr<Tensor> TakeLowestSlots(int64_t rows, absl::Span<const RowAnswer> answers,
                                       const Slots& slots, size_t output) {
  std::vector<std::string> storage(answers.size());
  std::vector<std::vector<absl::string_view>> views;
  for (size_t a = 0; a < answers.size(); ++a) {
    const Tensor& tensor = (*answers[a].outputs)[output];
    absl::StatusOr<std::vector<absl::string_view>> of_answer =
        RowViews(tensor, tensor.data.Flat(storage[a]), answers[a].rows.size());
    if (!of_answer.ok()) {
      return absl::InternalError(
          absl::StrCat("expert \"", answers[a].name, "\": ", of_answer.status().message()));
    }
    views.push_back(*std::move(of_answer));
  }
  std::string taken;
  for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
    const Place* place = &slots.places[row * slots.count];
    while (place->answer < 0) ++place;
    const absl::string_view view =
        views[static_cast<size_t>(place->answer)][static_cast<size_t>(place->row)];
    taken.append(view.data(), view.size());
  }
  Tensor result = (*answers[0].outputs)[output];
  result.shape[0] = rows;
  result.data = Bytes(std::move(taken));
  return result;
}

}  // namespace

absl::StatusOr<Tensor> GatherRows(const Tensor& tensor, absl::Span<const int32_t> rows) {
  if (tensor.shape.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("input \"", tensor.name, "\" has no rows"));
  }
  const size_t have = static_cast<size_t>(std::max<int64_t>(tensor.shape[0], 0));
  std::string storage;
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<absl::string_view> views,
                            RowViews(tensor, tensor.data.Flat(storage), have));
  std::string gathered;
  for (const int32_t row : rows) {
    if (row < 0 || static_cast<size_t>(row) >= have) {
      return absl::InvalidArgumentError(
          absl::StrCat("input \"", tensor.name, "\" has no row ", row));
    }
    const absl::string_view view = views[static_cast<size_t>(row)];
    gathered.append(view.data(), view.size());
  }
  Tensor result = tensor;
  result.shape[0] = static_cast<int64_t>(rows.size());
  result.data = Bytes(std::move(gathered));
  return result;
}

absl::Status CheckRowCombiner(config::v1::Combiner kind) {
  if (kind == config::v1::BEST || kind == config::v1::WEIGHTED_SUM ||
      kind == config::v1::MIXTURE_OF_PROBABILITIES) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("combiner is ", config::v1::Combiner_Name(kind),
                                                 ", which a pool of granularity ROW cannot do"));
}

absl::StatusOr<std::vector<Tensor>> ScatterRows(config::v1::Combiner kind, int64_t rows,
                                                absl::Span<const RowAnswer> answers) {
  PENSTOCK_RETURN_IF_ERROR(CheckRowCombiner(kind));
  if (answers.empty()) return absl::InternalError("no answer to combine");
  PENSTOCK_ASSIGN_OR_RETURN(const Slots slots, PlaceAnswers(rows, answers));
  for (int64_t row = 0; row < rows; ++row) {
    const auto first = slots.places.begin() + row * static_cast<int64_t>(slots.count);
    const auto last = first + static_cast<int64_t>(slots.count);
    if (std::none_of(first, last, [](const Place& place) { return place.answer >= 0; })) {
      return absl::InternalError(absl::StrCat("row ", row, " has no answer"));
    }
  }
  std::vector<Tensor> result;
  for (size_t i = 0; i < answers[0].outputs->size(); ++i) {
    const bool sum =
        kind != config::v1::BEST && (*answers[0].outputs)[i].datatype == DataType::kFp32;
    if (sum) {
      PENSTOCK_ASSIGN_OR_RETURN(
          result.emplace_back(),
          SumSlots(rows, answers, slots, i, kind == config::v1::MIXTURE_OF_PROBABILITIES));
    } else {
      PENSTOCK_ASSIGN_OR_RETURN(result.emplace_back(), TakeLowestSlots(rows, answers, slots, i));
    }
  }
  return result;
}

}  // namespace penstock::router
