#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/tensors/safetensors.h"
#include "gtest/gtest.h"
#include "tests/router_service/features/tokens/small_tokenizers.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {

// 37 tokens of WordPieceJson() in two dimensions: token t is at (t, -1).
inline std::vector<float> LineOfTokens(size_t tokens = 37) {
  std::vector<float> rows;
  for (size_t t = 0; t < tokens; ++t) {
    rows.push_back(static_cast<float>(t));
    rows.push_back(-1);
  }
  return rows;
}

// Writes a model of static embeddings as Model2Vec does; returns its folder.
inline std::string WriteEmbeddings(const TempDir& dir, const std::vector<SafetensorsTensor>& tensors,
                                   absl::string_view config = R"({"normalize": false})",
                                   absl::string_view tokenizer = WordPieceJson()) {
  dir.Write("model/tokenizer.json", tokenizer);
  dir.Write("model/config.json", config);
  const absl::Status written = WriteSafetensors(dir.File("model/model.safetensors"), tensors, {});
  EXPECT_TRUE(written.ok()) << written;
  return dir.File("model");
}

}  // namespace penstock::router
