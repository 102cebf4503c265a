#pragma once

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/tensors/safetensors.h"
#include "gtest/gtest.h"
#include "router_service/gating/gate.h"
#include "router_service/gating/top_k.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {

// Writes a gate's file, whose experts are a, b, c, ... unless `metadata` says otherwise.
inline std::string WriteGate(const std::string& kind, const std::vector<SafetensorsTensor>& tensors,
                             std::map<std::string, std::string> metadata = {}) {
  static int files = 0;
  const std::string path = ProcessTempDir() + kind + std::to_string(++files) + ".safetensors";
  metadata.insert({{"kind", kind}, {"experts", R"(["a", "b", "c", "d"])"}});
  const absl::Status written = WriteSafetensors(path, tensors, metadata);
  EXPECT_TRUE(written.ok()) << written;
  return path;
}

// The weight of each expert, all admissible ones considered.
inline std::vector<float> Mass(const Gate& gate, const std::vector<float>& z,
                               const std::vector<uint8_t>& admissible = {}) {
  std::vector<float> logits(gate.experts()), mass(gate.experts());
  CounterRandom random(1, 1);
  gate.Score(z, admissible, random, absl::MakeSpan(logits));
  EXPECT_TRUE(GateMass(logits, admissible, absl::MakeSpan(mass)));
  return mass;
}

inline std::unique_ptr<const Gate> Made(const config::v1::Gate& config,
                                        const std::vector<std::string>& experts, size_t dimension) {
  auto gate = MakeGate(config, experts, dimension);
  EXPECT_TRUE(gate.ok()) << gate.status();
  return gate.ok() ? *std::move(gate) : nullptr;
}

inline std::string Refusal(const config::v1::Gate& config, const std::vector<std::string>& experts,
                           size_t dimension) {
  const auto gate = MakeGate(config, experts, dimension);
  EXPECT_EQ(gate.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(gate.status().message());
}

// The same logits for a row as for a request, bit for bit, and the same twice.
inline void ExpectRowsLikeRequests(const Gate& gate, const std::vector<float>& z) {
  const size_t rows = z.size() / gate.dimension(), n = gate.experts();
  CounterRandom random(1, 1);
  std::vector<float> of_rows(rows * n), of_request(n);
  gate.ScoreRows(static_cast<int64_t>(rows), z, {}, random, absl::MakeSpan(of_rows));
  for (size_t row = 0; row < rows; ++row) {
    gate.Score(absl::MakeConstSpan(z).subspan(row * gate.dimension(), gate.dimension()), {}, random,
               absl::MakeSpan(of_request));
    EXPECT_EQ(std::vector<float>(of_rows.begin() + static_cast<std::ptrdiff_t>(row * n),
                                 of_rows.begin() + static_cast<std::ptrdiff_t>((row + 1) * n)),
              of_request);
  }
}

}  // namespace penstock::router
