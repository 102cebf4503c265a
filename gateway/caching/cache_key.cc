#include "gateway/caching/cache_key.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <variant>

#include "common/number_bytes.h"
#include "common/tensors/datatype.h"

namespace penstock::gateway {
namespace {

void AppendText(std::string& out, absl::string_view text) {
  AppendNumber(out, text.size());
  out.append(text.data(), text.size());
}

// The type counts too: experts may tell an int64 from a double of the same value.
struct AppendValue {
  std::string& out;

  void operator()(std::monostate) const { out.push_back('-'); }
  void operator()(bool value) const { out.append(value ? "bt" : "bf"); }
  void operator()(int64_t value) const {
    out.push_back('i');
    AppendNumber(out, static_cast<uint64_t>(value));
  }
  void operator()(const std::string& value) const {
    out.push_back('s');
    AppendText(out, value);
  }
  void operator()(double value) const {
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(bits));
    out.push_back('d');
    AppendNumber(out, bits);
  }
  void operator()(uint64_t value) const {
    out.push_back('u');
    AppendNumber(out, value);
  }
};

// Says nothing of what the answer is, only of how it is come by.
bool IsAboutTheCall(absl::string_view name) {
  return name == "penstock_cache" || name == "penstock_explain";
}

void AppendParameters(std::string& out, const std::vector<Parameter>& parameters) {
  std::vector<const Parameter*> sorted;
  for (const Parameter& parameter : parameters) {
    if (!IsAboutTheCall(parameter.name)) sorted.push_back(&parameter);
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const Parameter* a, const Parameter* b) { return a->name < b->name; });
  AppendNumber(out, sorted.size());
  for (const Parameter* parameter : sorted) {
    AppendText(out, parameter->name);
    std::visit(AppendValue{out}, parameter->value);
  }
}

bool SameBytes(const Bytes& a, const Bytes& b) {
  if (a.size() != b.size()) return false;
  size_t in_a = 0, in_b = 0;  // offsets within the present pieces
  auto piece_a = a.pieces().begin(), piece_b = b.pieces().begin();
  // No piece is empty.
  while (piece_a != a.pieces().end() && piece_b != b.pieces().end()) {
    const absl::string_view rest_a = piece_a->data.substr(in_a);
    const absl::string_view rest_b = piece_b->data.substr(in_b);
    const size_t size = std::min(rest_a.size(), rest_b.size());
    if (rest_a.substr(0, size) != rest_b.substr(0, size)) return false;
    in_a += size;
    in_b += size;
    if (in_a == piece_a->data.size()) {
      ++piece_a;
      in_a = 0;
    }
    if (in_b == piece_b->data.size()) {
      ++piece_b;
      in_b = 0;
    }
  }
  return true;
}

}  // namespace

CacheDigest Sha256OfKey(absl::string_view head, const Bytes& tensors) {
  Sha256Stream stream;
  stream.Add(head);
  for (const Bytes::Piece& piece : tensors.pieces()) stream.Add(piece.data);
  return stream.Finish();
}

bool SameKey(const CacheKey& a, const CacheKey& b) {
  return a.head == b.head && SameBytes(a.tensors, b.tensors);
}

CacheKey OwnKey(const CacheKey& key) {
  return {.head = key.head, .tensors = Bytes(key.tensors.ToString()), .digest = key.digest};
}

CacheKey MakeCacheKey(const CacheScope& scope, const InferRequestHeader& header,
                      const std::vector<Tensor>& inputs, const DigestFunction& digest) {
  CacheKey key;
  std::string& head = key.head;
  AppendText(head, scope.pool);
  AppendText(head, header.model_version);
  AppendText(head, scope.version);
  head.push_back(scope.tenant == nullptr ? 'a' : 't');
  if (scope.tenant != nullptr) AppendText(head, *scope.tenant);
  const bool names_experts =
      std::any_of(header.parameters.begin(), header.parameters.end(),
                  [](const Parameter& p) { return p.name == "penstock_experts"; });
  head.push_back(names_experts && scope.may_force_experts ? 'f' : '-');
  AppendParameters(head, header.parameters);
  AppendNumber(head, inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& input = inputs[i];
    AppendText(head, input.name);
    AppendText(head, DataTypeName(input.datatype));
    AppendNumber(head, input.shape.size());
    for (const int64_t dimension : input.shape) {
      AppendNumber(head, static_cast<uint64_t>(dimension));
    }
    AppendParameters(head, header.inputs[i].parameters);
    AppendNumber(head, input.data.size());
    key.tensors.Append(input.data);
  }
  AppendNumber(head, header.outputs.size());
  for (const RequestedOutput& output : header.outputs) {
    AppendText(head, output.name);
    AppendParameters(head, output.parameters);
  }
  key.digest = digest(head, key.tensors);
  return key;
}

}  // namespace penstock::gateway
