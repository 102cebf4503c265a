#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "common/tensors/safetensors.h"
#include "gtest/gtest.h"
#include "kernels/linear/weight_format.h"
#include "tests/expert_service/models/test_models.h"

namespace penstock::expert {

// What blocks are held against: plain loops in float64.
using Doubles = std::vector<double>;

// Numbers without a pattern within +-scale, the same for a seed everywhere.
inline std::vector<float> Noise(int64_t count, uint32_t seed, float scale) {
  std::vector<float> values(static_cast<size_t>(count));
  uint32_t state = seed * 2654435761u + 12345u;
  for (float& value : values) {
    state = state * 1664525u + 1013904223u;
    value = scale * (static_cast<float>(state >> 8) / 8388608.0f - 1.0f);
  }
  return values;
}

// The tensors of one model, by name.
class Tensors {
 public:
  void Add(const std::string& name, std::vector<int64_t> shape, float scale = 0.5f,
           float shift = 0.0f) {
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    std::vector<float> values = Noise(count, static_cast<uint32_t>(all_.size() + 1), scale);
    for (float& value : values) value += shift;
    Set(name, std::move(shape), std::move(values));
  }
  void Set(const std::string& name, std::vector<int64_t> shape, std::vector<float> values) {
    Drop(name);
    all_.push_back({name, std::move(shape), std::move(values)});
  }
  void Drop(const std::string& name) {
    std::erase_if(all_, [&](const SafetensorsTensor& each) { return each.name == name; });
  }
  const std::vector<SafetensorsTensor>& all() const { return all_; }
  Doubles operator[](const std::string& name) const {
    for (const SafetensorsTensor& each : all_) {
      if (each.name == name) return Doubles(each.values.begin(), each.values.end());
    }
    ADD_FAILURE() << "no tensor " << name;
    return {};
  }

 private:
  std::vector<SafetensorsTensor> all_;
};

// W x, W [out, x.size()].
inline Doubles Times(const Doubles& w, const Doubles& x) {
  Doubles y(w.size() / x.size());
  for (size_t n = 0; n < y.size(); ++n) {
    for (size_t k = 0; k < x.size(); ++k) y[n] += w[n * x.size() + k] * x[k];
  }
  return y;
}

inline Doubles Plus(Doubles a, const Doubles& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

inline double SigmoidOf(double z) { return 1 / (1 + std::exp(-z)); }
inline double SiluOf(double z) { return z * SigmoidOf(z); }
inline double GeluOf(double z) { return 0.5 * z * (1 + std::erf(z / std::sqrt(2.0))); }
inline double SoftplusOf(double z) { return std::max(z, 0.0) + std::log1p(std::exp(-std::abs(z))); }

inline Doubles RmsNormOf(const Doubles& x, const Doubles& weight) {
  double square = 0;
  for (const double value : x) square += value * value;
  const double scale = 1 / std::sqrt(square / static_cast<double>(x.size()) + 1e-6);
  Doubles y(x);
  for (size_t i = 0; i < y.size(); ++i) y[i] *= scale * weight[i];
  return y;
}

inline Doubles SoftmaxOf(const Doubles& z) {
  const double most = *std::max_element(z.begin(), z.end());
  Doubles p(z);
  double sum = 0;
  for (double& value : p) sum += value = std::exp(value - most);
  for (double& value : p) value /= sum;
  return p;
}

inline Doubles Part(const Doubles& all, size_t begin, size_t count) {
  const auto first = all.begin() + static_cast<std::ptrdiff_t>(begin);
  return Doubles(first, first + static_cast<std::ptrdiff_t>(count));
}

inline double RelativeError(const std::vector<float>& got, const Doubles& wanted) {
  EXPECT_EQ(got.size(), wanted.size());
  if (got.size() != wanted.size()) return 1;
  double difference = 0, square = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double d = static_cast<double>(got[i]) - wanted[i];
    difference += d * d;
    square += wanted[i] * wanted[i];
  }
  return std::sqrt(difference / square);
}

// Each row's first output alone, and all rows' in one batch: the same to the bit.
inline void ExpectAloneEqualsBatch(const Model& model, std::vector<int64_t> shape,
                                   const std::vector<float>& values) {
  const std::vector<float> together = RunOne(model, FloatTensor("x", shape, values));
  const int64_t rows = shape[0];
  const size_t in = values.size() / static_cast<size_t>(rows);
  const size_t out = together.size() / static_cast<size_t>(rows);
  shape[0] = 1;
  for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
    const std::vector<float> alone =
        RunOne(model, FloatTensor("x", shape, absl::MakeConstSpan(&values[row * in], in)));
    ASSERT_EQ(alone.size(), out);
    EXPECT_EQ(std::memcmp(alone.data(), &together[row * out], out * sizeof(float)), 0)
        << "row " << row;
  }
}

// The matrices whose names are given in a format with scales; the others as they are.
inline absl::StatusOr<std::shared_ptr<const Model>> MakeQuantized(
    const std::string& text, const Tensors& tensors, const std::vector<std::string>& matrices,
    kernels::WeightFormat format) {
  std::vector<SafetensorsTensor> file;
  std::map<std::string, std::string> metadata;
  for (const SafetensorsTensor& each : tensors.all()) {
    if (std::find(matrices.begin(), matrices.end(), each.name) == matrices.end()) {
      file.push_back(each);
      continue;
    }
    const int64_t in = each.shape.back(), out = each.shape[each.shape.size() - 2];
    const int64_t count = each.shape.size() == 3 ? each.shape[0] : 1;
    for (int64_t i = 0; i < count; ++i) {
      const std::string name =
          each.shape.size() == 3 ? each.name + "." + std::to_string(i) : each.name;
      WriteCoded(name, kernels::Quantize(each.values.data() + i * out * in, in, out, format, 0),
                 file, metadata);
    }
  }
  const auto bytes = SafetensorsBytes(file, metadata);
  if (!bytes.ok()) return bytes.status();
  const auto parsed = Safetensors::Parse(*bytes);
  if (!parsed.ok()) return parsed.status();
  return Model::Create(ModelConfigOf(text), "quantized", 1, parsed->get(), "model.safetensors");
}

// The same matrices rounded to what the format holds.
inline Tensors Rounded(const Tensors& tensors, const std::vector<std::string>& matrices,
                       kernels::WeightFormat format) {
  Tensors rounded = tensors;
  for (const SafetensorsTensor& each : tensors.all()) {
    if (std::find(matrices.begin(), matrices.end(), each.name) == matrices.end()) continue;
    const int64_t in = each.shape.back();
    const int64_t out = static_cast<int64_t>(each.values.size()) / in;
    std::vector<float> values(each.values.size());
    kernels::Dequantize(kernels::Quantize(each.values.data(), in, out, format, 0), values.data());
    rounded.Set(each.name, each.shape, std::move(values));
  }
  return rounded;
}

}  // namespace penstock::expert
