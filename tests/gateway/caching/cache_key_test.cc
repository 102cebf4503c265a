#include "gateway/caching/cache_key.h"

#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace penstock::gateway {
namespace {

InferRequest Plain() {
  InferRequest request;
  request.model_name = "pool";
  request.inputs.push_back(FloatTensor("x", {1, 2}, {1, 2}));
  request.inputs.push_back(StringTensor("prompt", {1}, {"a prompt"}));
  request.outputs.push_back({.name = "y", .parameters = {}});
  return request;
}

// The second one must be told from the first by its key alone, so digests are no help.
CacheKey KeyOf(const Bytes& message, const CacheScope& scope = {.pool = "pool", .version = "v"}) {
  const auto header = ScanInferRequest(message);
  EXPECT_TRUE(header.ok()) << header.status();
  const auto inputs = DecodeInputs(message, *header);
  EXPECT_TRUE(inputs.ok()) << inputs.status();
  return MakeCacheKey(scope, *header, *inputs, &Sha256OfKey);
}
CacheKey KeyOf(const InferRequest& request) { return KeyOf(EncodeInferRequest(request)); }

using Change = std::function<void(InferRequest&)>;
bool Matters(const Change& change) {
  InferRequest other = Plain();
  change(other);
  const CacheKey a = KeyOf(Plain()), b = KeyOf(other);
  EXPECT_EQ(SameKey(a, b), a.digest == b.digest);
  return !SameKey(a, b);
}

TEST(CacheKeyTest, IdAndWhatIsSaidOfTheCallDoNotMatter) {
  EXPECT_FALSE(Matters([](InferRequest& r) { r.id = "7"; }));
  EXPECT_FALSE(Matters([](InferRequest& r) { r.parameters = {{"penstock_explain", true}}; }));
  EXPECT_FALSE(Matters([](InferRequest& r) {
    r.parameters = {{"penstock_cache", std::string("use")}};
  }));
}

TEST(CacheKeyTest, EverythingThatTheAnswerComesFromMatters) {
  EXPECT_TRUE(Matters([](InferRequest& r) { r.model_version = "1"; }));
  EXPECT_TRUE(Matters([](InferRequest& r) { r.inputs[0].name = "z"; }));
  EXPECT_TRUE(Matters([](InferRequest& r) { r.inputs[0].shape = {2, 1}; }));
  EXPECT_TRUE(Matters([](InferRequest& r) { r.inputs[0].datatype = DataType::kInt32; }));
  EXPECT_TRUE(Matters([](InferRequest& r) { r.inputs[0] = FloatTensor("x", {1, 2}, {1, 3}); }));
  EXPECT_TRUE(Matters([](InferRequest& r) { r.inputs.pop_back(); }));
  EXPECT_TRUE(Matters([](InferRequest& r) { r.outputs[0].name = "z"; }));
  EXPECT_TRUE(Matters([](InferRequest& r) { r.outputs.clear(); }));
  EXPECT_TRUE(Matters([](InferRequest& r) {
    r.outputs[0].parameters.push_back({.name = "classification", .value = int64_t{2}, .range = {}});
  }));
  for (const char* name : {"penstock_objective", "penstock_energy_budget_j", "penstock_class",
                           "penstock_latency_budget_ms", "timeout", "temperature"}) {
    EXPECT_TRUE(Matters([&](InferRequest& r) { r.parameters = {{name, 1.0}}; })) << name;
  }
}

TEST(CacheKeyTest, AValuesTypeMatters) {
  InferRequest a = Plain(), b = Plain();
  a.parameters = {{"n", int64_t{1}}};
  b.parameters = {{"n", uint64_t{1}}};
  EXPECT_FALSE(SameKey(KeyOf(a), KeyOf(b)));
}

TEST(CacheKeyTest, ParametersCountInWhateverOrderTheyCome) {
  InferRequest a = Plain(), b = Plain();
  a.parameters = {{"n", int64_t{1}}, {"m", true}, {"penstock_class", std::string("c")}};
  b.parameters = {{"penstock_class", std::string("c")}, {"n", int64_t{1}}, {"m", true}};
  a.outputs[0].parameters = {{.name = "p", .value = true, .range = {}},
                             {.name = "q", .value = false, .range = {}}};
  b.outputs[0].parameters = {{.name = "q", .value = false, .range = {}},
                             {.name = "p", .value = true, .range = {}}};
  EXPECT_TRUE(SameKey(KeyOf(a), KeyOf(b)));
}

TEST(CacheKeyTest, WhatStandsWhereMatters) {
  // The same texts, but of other names, and the same bytes, but cut elsewhere.
  InferRequest a = Plain(), b = Plain();
  a.parameters = {{"a", std::string("b")}, {"c", std::string("d")}};
  b.parameters = {{"a", std::string("d")}, {"c", std::string("b")}};
  EXPECT_FALSE(SameKey(KeyOf(a), KeyOf(b)));
  a = b = Plain();
  a.inputs = {FloatTensor("x", {2}, {1, 2}), FloatTensor("z", {1}, {3})};
  b.inputs = {FloatTensor("x", {1}, {1}), FloatTensor("z", {2}, {2, 3})};
  EXPECT_FALSE(SameKey(KeyOf(a), KeyOf(b)));
  a = b = Plain();
  a.parameters = {{"ab", std::string("c")}};
  b.parameters = {{"a", std::string("bc")}};
  EXPECT_FALSE(SameKey(KeyOf(a), KeyOf(b)));
}

TEST(CacheKeyTest, WhoAsksAndWhatAnswersMatters) {
  const Bytes message = EncodeInferRequest(Plain());
  const std::string team = "team", other = "other", nobody;
  const CacheKey key = KeyOf(message, {.pool = "pool", .version = "v", .tenant = &team});
  for (const CacheScope& scope : {CacheScope{.pool = "pool", .version = "v", .tenant = &other},
                                  CacheScope{.pool = "pool", .version = "v", .tenant = &nobody},
                                  CacheScope{.pool = "pool", .version = "v", .tenant = nullptr},
                                  CacheScope{.pool = "pool", .version = "w", .tenant = &team},
                                  CacheScope{.pool = "loop", .version = "v", .tenant = &team}}) {
    EXPECT_FALSE(SameKey(key, KeyOf(message, scope)));
  }
}

TEST(CacheKeyTest, TypedAndRawContentsOfTheSameValuesAreOne) {
  // inputs (5) { name: "x", datatype: "FP32", shape: [1, 2], contents: { fp32_contents: [1, 2] } }
  std::string typed;
  typed += std::string("\x0a\x04pool", 6);
  typed += std::string("\x2a\x19", 2);
  typed += std::string(
      "\x0a\x01x\x12\x04"
      "FP32\x1a\x02\x01\x02\x2a\x0a\x32\x08",
      17);
  typed += std::string("\x00\x00\x80\x3f\x00\x00\x00\x40", 8);
  InferRequest raw;
  raw.model_name = "pool";
  raw.inputs.push_back(FloatTensor("x", {1, 2}, {1, 2}));
  EXPECT_TRUE(SameKey(KeyOf(Bytes(typed)), KeyOf(raw)));
}

TEST(CacheKeyTest, PiecesOfAMessageDoNotMatter) {
  const std::string whole = EncodeInferRequest(Plain()).ToString();
  const CacheKey key = KeyOf(Bytes(whole));
  for (size_t cut = 1; cut < whole.size(); ++cut) {
    Bytes pieces(whole.substr(0, cut));
    pieces.Append(whole.substr(cut));
    const CacheKey other = KeyOf(pieces);
    ASSERT_TRUE(SameKey(key, other)) << cut;
    ASSERT_EQ(key.digest, other.digest) << cut;
  }
}

TEST(CacheKeyTest, AnOwnKeySharesNothingWithTheMessage) {
  const CacheKey key = KeyOf(Plain());
  const CacheKey own = OwnKey(key);
  EXPECT_TRUE(SameKey(key, own));
  ASSERT_EQ(own.tensors.pieces().size(), 1u);
  for (const Bytes::Piece& piece : key.tensors.pieces()) {
    EXPECT_NE(piece.owner, own.tensors.pieces()[0].owner);
  }
}

}  // namespace
}  // namespace penstock::gateway
