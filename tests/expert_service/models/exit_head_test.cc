#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "gmock/gmock.h"
#include "kernels/exit_gate/exit_gate.h"
#include "tests/expert_service/models/loops.h"
#include "tests/support/status_matchers.h"

namespace penstock::expert {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr size_t kDim = 5, kClasses = 3;
constexpr int64_t kRows = 29;

// Two exits, and between them a block that reads a value from before both.
constexpr char kConfig[] =
    "inputs { name: 'x' datatype: 'FP32' shape: 5 } "
    "outputs { name: 'p' datatype: 'FP32' shape: 3 block: 6 } "
    "outputs { name: 'label' datatype: 'BYTES' shape: 1 } "
    "outputs { name: 'first' datatype: 'FP32' shape: 3 block: 1 } "
    "blocks { linear {} } blocks { exit_head {} } "
    "blocks { gated_mlp { norm: true residual: true } } "
    "blocks { gmu { memory_block: 0 residual: true } } blocks { exit_head { threshold: 0.7 } } "
    "blocks { linear {} } blocks { softmax {} } blocks { labels { names: ['a', 'b', 'c'] } } "
    "batching { max_rows: 64 }";
constexpr size_t kFirst = 1, kSecond = 4, kEnd = 5;

Tensors Weights() {
  Tensors t;
  t.Add("0.weight", {6, 5});
  for (const std::string head : {"1", "4"}) {
    t.Add(head + ".weight", {3, 6}, 1.5f);
    t.Add(head + ".bias", {3});
    t.Add(head + ".gate", {4}, 2.0f);
    t.Add(head + ".gate_bias", {1});
  }
  t.Add("2.gate", {9, 6});
  t.Add("2.up", {9, 6});
  t.Add("2.down", {6, 9});
  t.Add("2.norm", {6}, 0.5f, 1.0f);
  t.Add("3.in", {6, 6});
  t.Add("3.out", {6, 6});
  t.Add("5.weight", {3, 6}, 1.5f);
  t.Add("5.bias", {3});
  return t;
}

void SetBias(Tensors& t, size_t head, float bias) {
  t.Set(std::to_string(head) + ".gate_bias", {1}, {bias});
}

double Entropy(const Doubles& p) {
  double sum = 0;
  for (const double each : p) sum -= each > 0 ? each * std::log(each) : 0;
  return sum;
}

// w . u + c, the gate before its sigmoid.
double GateScore(const Tensors& t, size_t head, const Doubles& logits) {
  const std::string name = std::to_string(head);
  const Doubles p = SoftmaxOf(logits);
  Doubles sorted = p, squares = p;
  std::sort(sorted.rbegin(), sorted.rend());
  double sum = 0;
  for (double& each : squares) sum += each *= each;
  for (double& each : squares) each /= sum;
  const Doubles u = {sorted[0], Entropy(p), sorted[0] - sorted[1], Entropy(squares)};
  return Times(t[name + ".gate"], u)[0] + t[name + ".gate_bias"][0];
}

struct Row {
  std::map<size_t, Doubles> logits;  // of each exit, and of the end
  std::map<size_t, double> score;    // of each exit
  size_t left = kEnd;                // where
};

Row Loop(const Tensors& t, const Doubles& x) {
  Row row;
  const Doubles memory = Times(t["0.weight"], x);
  const auto exit = [&](size_t head, const Doubles& value, double threshold) {
    const std::string name = std::to_string(head);
    row.logits[head] = Plus(Times(t[name + ".weight"], value), t[name + ".bias"]);
    row.score[head] = GateScore(t, head, row.logits[head]);
    if (row.left == kEnd && SigmoidOf(row.score[head]) >= threshold) row.left = head;
  };
  exit(kFirst, memory, 0.5);
  const Doubles n = RmsNormOf(memory, t["2.norm"]), up = Times(t["2.up"], n);
  Doubles hidden = Times(t["2.gate"], n);
  for (size_t i = 0; i < hidden.size(); ++i) hidden[i] = SiluOf(hidden[i]) * up[i];
  Doubles value = Plus(Times(t["2.down"], hidden), memory);
  Doubles gate = Times(t["3.in"], value);
  for (size_t i = 0; i < gate.size(); ++i) gate[i] = memory[i] * SiluOf(gate[i]);
  value = Plus(Times(t["3.out"], gate), value);
  exit(kSecond, value, 0.7);
  row.logits[kEnd] = Plus(Times(t["5.weight"], value), t["5.bias"]);
  return row;
}

std::vector<Row> LoopOver(const Tensors& t, const std::vector<float>& x) {
  std::vector<Row> rows;
  for (size_t at = 0; at < x.size(); at += kDim) {
    rows.push_back(Loop(t, Part(Doubles(x.begin(), x.end()), at, kDim)));
  }
  return rows;
}

std::vector<float> Input() { return Noise(kRows * static_cast<int64_t>(kDim), 17, 2.0f); }

// Biases with which about a third of the rows of `x` leave at each exit, none near the threshold.
Tensors MixedWeights(const std::vector<float>& x) {
  Tensors t = Weights();
  for (const auto& [head, threshold] : {std::pair(kFirst, 0.5), std::pair(kSecond, 0.7)}) {
    Doubles scores;
    for (const Row& row : LoopOver(t, x)) {
      if (row.left >= head || row.left == kEnd) scores.push_back(row.score.at(head));
    }
    std::sort(scores.begin(), scores.end());
    const size_t at = scores.size() * 2 / 3;
    const double between = (scores[at - 1] + scores[at]) / 2;
    const double wanted = std::log(threshold / (1 - threshold)) - between;
    SetBias(t, head, static_cast<float>(t[std::to_string(head) + ".gate_bias"][0] + wanted));
  }
  return t;
}

struct Ran {
  std::vector<float> p, first;
  std::vector<std::string> labels;
  ModelRun run;
};

// Requests of so many rows each, together.
Ran RunAll(const Model& model, const std::vector<float>& x, const std::vector<int64_t>& requests,
           const std::vector<size_t>& wanted = {0, 1, 2}, Exits exits = Exits::kTaken) {
  std::vector<ModelInputs> inputs;
  size_t at = 0;
  for (const int64_t rows : requests) {
    const size_t size = static_cast<size_t>(rows) * kDim;
    auto accepted =
        model.Accept({FloatTensor("x", {rows, kDim}, absl::MakeConstSpan(x).subspan(at, size))});
    EXPECT_THAT(accepted, IsOk());
    inputs.push_back(*std::move(accepted));
    at += size;
  }
  std::vector<std::vector<Tensor>> outputs(inputs.size());
  std::vector<ModelCall> calls;
  for (size_t i = 0; i < inputs.size(); ++i) calls.push_back({&inputs[i], wanted, &outputs[i]});
  Arena arena;
  Ran ran;
  EXPECT_THAT(model.Run(calls, arena, &ran.run, exits), IsOk());
  for (const std::vector<Tensor>& of_call : outputs) {
    for (const Tensor& tensor : of_call) {
      if (tensor.name == "label") {
        const auto labels = ToStrings(tensor);
        EXPECT_THAT(labels, IsOk());
        ran.labels.insert(ran.labels.end(), labels->begin(), labels->end());
        continue;
      }
      const auto floats = ToFloats(tensor);
      EXPECT_THAT(floats, IsOk());
      std::vector<float>& to = tensor.name == "p" ? ran.p : ran.first;
      to.insert(to.end(), floats->begin(), floats->end());
    }
  }
  return ran;
}

// The outputs against the loops; how many rows left where.
std::map<size_t, int64_t> ExpectLoops(const Tensors& t, const std::vector<float>& x) {
  const auto model = MakeModel(kConfig, t.all());
  EXPECT_THAT(model, IsOk());
  std::map<size_t, int64_t> left;
  Doubles p, first;
  std::vector<std::string> labels;
  for (const Row& row : LoopOver(t, x)) {
    EXPECT_GT(std::abs(SigmoidOf(row.score.at(kFirst)) - 0.5), 1e-5) << "too near to say";
    EXPECT_GT(std::abs(SigmoidOf(row.score.at(kSecond)) - 0.7), 1e-5) << "too near to say";
    const Doubles answer = SoftmaxOf(row.logits.at(row.left));
    p.insert(p.end(), answer.begin(), answer.end());
    first.insert(first.end(), row.logits.at(kFirst).begin(), row.logits.at(kFirst).end());
    const auto best = std::max_element(answer.begin(), answer.end()) - answer.begin();
    labels.push_back(std::string(1, static_cast<char>('a' + best)));
    ++left[row.left];
  }
  const Ran ran = RunAll(**model, x, {static_cast<int64_t>(x.size() / kDim)});
  EXPECT_LE(RelativeError(ran.p, p), 1e-5);
  EXPECT_LE(RelativeError(ran.first, first), 1e-5);
  EXPECT_EQ(ran.labels, labels);
  for (const auto& [block, rows] : ran.run.ended) {
    EXPECT_EQ(left.contains(block) ? left.at(block) : 0, rows) << block;
  }
  return left;
}

TEST(ExitHeadTest, RowsLeaveWithTheLogitsOfTheirExitInTheirOrder) {
  const std::vector<float> x = Input();
  const std::map<size_t, int64_t> left = ExpectLoops(MixedWeights(x), x);
  EXPECT_THAT(left, ElementsAre(Pair(kFirst, 10), Pair(kSecond, 7), Pair(kEnd, 12)));
}

TEST(ExitHeadTest, WithoutExitsAllRowsRunToTheEnd) {
  const std::vector<float> x = Input();
  Tensors t = Weights();
  SetBias(t, kFirst, -100);
  SetBias(t, kSecond, -100);
  EXPECT_THAT(ExpectLoops(t, x), ElementsAre(Pair(kEnd, kRows)));
}

TEST(ExitHeadTest, AllRowsMayLeaveAtOneExit) {
  const std::vector<float> x = Input();
  Tensors t = Weights();
  SetBias(t, kFirst, -100);
  SetBias(t, kSecond, 100);
  EXPECT_THAT(ExpectLoops(t, x), ElementsAre(Pair(kSecond, kRows)));
  SetBias(t, kFirst, 100);
  EXPECT_THAT(ExpectLoops(t, x), ElementsAre(Pair(kFirst, kRows)));
}

TEST(ExitHeadTest, ARowIsTheSameBitsAloneAndInAnyBatch) {
  const std::vector<float> x = Input();
  ASSERT_OK_AND_ASSIGN(const auto model, MakeModel(kConfig, MixedWeights(x).all()));
  ExpectAloneEqualsBatch(*model, {kRows, kDim}, x);
}

TEST(ExitHeadTest, EachCallGetsItsRowsAndTheirCosts) {
  const std::vector<float> x = Input();
  ASSERT_OK_AND_ASSIGN(const auto model, MakeModel(kConfig, MixedWeights(x).all()));
  const Ran all = RunAll(*model, x, {kRows});
  const std::vector<int64_t> requests = {4, 1, 11, 13};
  const Ran split = RunAll(*model, x, requests);
  EXPECT_EQ(split.p, all.p);
  EXPECT_EQ(split.labels, all.labels);
  EXPECT_EQ(split.first, all.first);
  EXPECT_EQ(split.run.ended, all.run.ended);
  EXPECT_DOUBLE_EQ(split.run.weight_bytes, all.run.weight_bytes);
  // A call's arithmetic is that of its rows, whoever shares the execution.
  size_t at = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    double flops = 0;
    for (int64_t row = 0; row < requests[i]; ++row, at += kDim) {
      flops += RunAll(*model,
                      std::vector<float>(x.begin() + static_cast<std::ptrdiff_t>(at),
                                         x.begin() + static_cast<std::ptrdiff_t>(at + kDim)),
                      {1})
                   .run.flops[0];
    }
    EXPECT_NEAR(split.run.flops[i], flops, 1e-9 * flops) << "request " << i;
  }
}

TEST(ExitHeadTest, CostsTheBlocksThatRowsRanThrough) {
  const std::vector<float> x = Input();
  Tensors t = Weights();
  SetBias(t, kFirst, -100);
  SetBias(t, kSecond, -100);
  ASSERT_OK_AND_ASSIGN(const auto never, MakeModel(kConfig, t.all()));
  const ModelWork most = never->Work(kRows, kNoPositions);
  const Ran to_the_end = RunAll(*never, x, {kRows});
  EXPECT_NEAR(to_the_end.run.flops[0], most.flops, 1e-9 * most.flops);
  EXPECT_DOUBLE_EQ(to_the_end.run.weight_bytes, most.weight_bytes);

  SetBias(t, kFirst, 100);
  ASSERT_OK_AND_ASSIGN(const auto always, MakeModel(kConfig, t.all()));
  // As if the model ended there.
  ASSERT_OK_AND_ASSIGN(
      const auto small,
      MakeModel("inputs { name: 'x' datatype: 'FP32' shape: 5 } "
                "outputs { name: 'label' datatype: 'BYTES' shape: 1 } blocks { linear {} } "
                "blocks { linear {} } blocks { softmax {} } "
                "blocks { labels { names: ['a', 'b', 'c'] } }",
                WaveWeights({{"0.weight", {6, 5}}, {"1.weight", {3, 6}}, {"1.bias", {3}}})));
  const ModelWork expected = small->Work(kRows, kNoPositions);
  const Ran at_once = RunAll(*always, x, {kRows});
  const double gates = kernels::ExitGateCost(kRows, kClasses).flops;
  EXPECT_NEAR(at_once.run.flops[0], expected.flops + gates, 1e-9 * expected.flops);
  EXPECT_DOUBLE_EQ(at_once.run.weight_bytes, expected.weight_bytes + 4 * sizeof(float));
}

TEST(ExitHeadTest, BlocksBehindTheLastWantedOneCostNothing) {
  const std::vector<float> x = Input();
  ASSERT_OK_AND_ASSIGN(const auto model, MakeModel(kConfig, MixedWeights(x).all()));
  const Ran all = RunAll(*model, x, {kRows}), first = RunAll(*model, x, {kRows}, {2});
  EXPECT_EQ(first.first, all.first);
  EXPECT_LT(first.run.flops[0], all.run.flops[0]);
  EXPECT_THAT(first.run.ended, IsEmpty());
}

TEST(ExitHeadTest, ExitsMayBeIgnored) {
  const std::vector<float> x = Input();
  Tensors t = Weights();
  SetBias(t, kFirst, 100);
  ASSERT_OK_AND_ASSIGN(const auto taken, MakeModel(kConfig, t.all()));
  SetBias(t, kFirst, -100);
  SetBias(t, kSecond, -100);
  ASSERT_OK_AND_ASSIGN(const auto never, MakeModel(kConfig, t.all()));
  const Ran ran = RunAll(*taken, x, {kRows}, {0, 1, 2}, Exits::kIgnored);
  EXPECT_EQ(ran.p, RunAll(*never, x, {kRows}).p);
  EXPECT_THAT(ran.run.ended, IsEmpty());
}

TEST(ExitHeadTest, ARowWithNanNeverLeavesEarly) {
  std::vector<float> x = Input();
  Tensors t = Weights();
  SetBias(t, kFirst, 100);
  SetBias(t, kSecond, 100);
  ASSERT_OK_AND_ASSIGN(const auto model, MakeModel(kConfig, t.all()));
  const Ran before = RunAll(*model, x, {kRows});
  x[7 * kDim + 2] = std::numeric_limits<float>::quiet_NaN();
  const Ran after = RunAll(*model, x, {kRows});
  EXPECT_THAT(before.run.ended, ElementsAre(Pair(kFirst, kRows)));
  EXPECT_THAT(after.run.ended, ElementsAre(Pair(kFirst, kRows - 1), Pair(kSecond, 0)));
  for (size_t i = 0; i < before.p.size(); ++i) {
    if (i / kClasses == 7) {
      EXPECT_TRUE(std::isnan(after.p[i]));
    } else {
      EXPECT_EQ(after.p[i], before.p[i]);
    }
  }
}

TEST(ExitHeadTest, EachViewLeavesByItself) {
  // The image, and the image one to the right: their answers' mean, of whichever exits they took.
  const auto config = [](const std::string& views) {
    return "inputs { name: 'x' datatype: 'FP32' shape: 5 } "
           "outputs { name: 'y' datatype: 'FP32' shape: 3 } " +
           views + "blocks { linear {} } blocks { exit_head {} } blocks { linear {} }";
  };
  const std::vector<float> x = Input();
  std::vector<float> shifted(x.size(), 0.0f);
  for (size_t i = 0; i < x.size(); ++i) {
    if (i % kDim > 0) shifted[i] = x[i - 1];
  }
  const Tensors mixed = MixedWeights(x);
  const auto tensors = [&](int first) {
    Tensors t;
    for (const auto& [from, to] :
         {std::pair("0.weight", "0.weight"), std::pair("1.weight", "1.weight"),
          std::pair("1.bias", "1.bias"), std::pair("1.gate", "1.gate"),
          std::pair("1.gate_bias", "1.gate_bias"), std::pair("5.weight", "2.weight")}) {
      for (const SafetensorsTensor& each : mixed.all()) {
        if (each.name != from) continue;
        t.Set(std::to_string(std::stoi(to) + first) + (to + 1), each.shape, each.values);
      }
    }
    return t;
  };
  ASSERT_OK_AND_ASSIGN(const auto plain, MakeModel(config(""), tensors(0).all()));
  ASSERT_OK_AND_ASSIGN(
      const auto views,
      MakeModel(config("blocks { shifted_views { height: 1 width: 5 shifts: [0, 0, 0, 1] } } "),
                tensors(1).all()));
  const std::vector<float> a = RunOne(*plain, FloatTensor("x", {kRows, kDim}, x));
  const std::vector<float> b = RunOne(*plain, FloatTensor("x", {kRows, kDim}, shifted));
  std::vector<float> mean(a.size());
  for (size_t i = 0; i < a.size(); ++i) mean[i] = (a[i] + b[i]) / 2;
  EXPECT_EQ(RunOne(*views, FloatTensor("x", {kRows, kDim}, x)), mean);
  const Ran ran = RunAll(*views, x, {kRows}, {0});
  const int64_t left = ran.run.ended.at(2);
  EXPECT_GT(left, 0);
  EXPECT_LT(left, 2 * kRows);
}

TEST(ExitHeadTest, ComputesWithWhatAQuantisedMatrixHolds) {
  const std::vector<float> x = Input();
  Tensors t = Weights();
  SetBias(t, kFirst, 100);
  ASSERT_OK_AND_ASSIGN(const auto model,
                       MakeQuantized(kConfig, t, {"1.weight"}, kernels::WeightFormat::kInt8));
  Doubles first;
  for (const Row& row : LoopOver(Rounded(t, {"1.weight"}, kernels::WeightFormat::kInt8), x)) {
    first.insert(first.end(), row.logits.at(kFirst).begin(), row.logits.at(kFirst).end());
  }
  // Where the CPU multiplies codes in bfloat16 the inputs are rounded to it.
  EXPECT_LE(RelativeError(RunAll(*model, x, {kRows}).first, first), 2e-2);
}

std::string Refusal(const std::string& output, const std::string& blocks, const Tensors& tensors,
                    const std::string& in = "5") {
  return std::string(MakeModel("inputs { name: 'x' datatype: 'FP32' shape: " + in +
                                   " } outputs { name: 'y' datatype: 'FP32' " + output + " } " +
                                   blocks,
                               tensors.all())
                         .status()
                         .message());
}

TEST(ExitHeadTest, SaysWhatIsWrong) {
  Tensors t;
  t.Add("0.weight", {3, 5});
  t.Add("0.bias", {3});
  t.Add("0.gate", {4});
  t.Add("0.gate_bias", {1});
  EXPECT_THAT(Refusal("shape: 3", "blocks { exit_head {} } blocks { softmax {} }", t),
              HasSubstr("blocks[0] exit_head: only softmax and labels follow"));
  EXPECT_THAT(Refusal("shape: 5", "blocks { exit_head { threshold: 0 } }", t),
              HasSubstr("threshold must be in (0, 1], found 0"));
  EXPECT_THAT(Refusal("shape: 5", "blocks { exit_head { threshold: nan } }", t),
              HasSubstr("threshold must be in (0, 1], found nan"));
  EXPECT_THAT(Refusal("shape: [2, 5]", "blocks { exit_head {} }", t, "[2, 5]"),
              HasSubstr("wanted [rows, dim], found [rows, 2, 5]"));
  Tensors wide = t;
  wide.Add("1.weight", {4, 5});
  EXPECT_THAT(Refusal("shape: 4", "blocks { exit_head {} } blocks { linear {} }", wide),
              HasSubstr("blocks[0] exit_head: tensor 0.weight: wanted as many logits as the answer "
                        "has, [rows, 4] of blocks[1], found 3"));
  Tensors views = t;
  views.Add("2.weight", {3, 5});
  EXPECT_THAT(Refusal("shape: 3",
                      "blocks { exit_head {} } "
                      "blocks { shifted_views { height: 1 width: 5 shifts: [0, 0, 0, 1] } } "
                      "blocks { linear {} }",
                      views),
              HasSubstr("blocks[1] shifted_views: may not stand behind exit_head"));
  Tensors narrow = t;
  narrow.Set("0.gate", {3}, {1, 2, 3});
  narrow.Add("1.weight", {3, 5});
  EXPECT_THAT(Refusal("shape: 3", "blocks { exit_head {} } blocks { linear {} }", narrow),
              AllOf(HasSubstr("0.gate"), HasSubstr("[4]"), HasSubstr("[3]")));
}

TEST(ExitHeadTest, OutputsMustBeOfEveryRow) {
  Tensors t;
  for (const std::string head : {"0", "2"}) {
    t.Add(head + ".weight", {3, 5});
    t.Add(head + ".bias", {3});
    t.Add(head + ".gate", {4});
    t.Add(head + ".gate_bias", {1});
  }
  t.Add("1.weight", {5}, 0.5f, 1.0f);
  t.Add("3.weight", {3, 5});
  const std::string blocks =
      "blocks { exit_head {} } blocks { rms_norm {} } blocks { exit_head {} } blocks { linear {} } "
      "blocks { softmax {} }";
  EXPECT_THAT(Refusal("shape: 5 block: 1", blocks, t),
              HasSubstr("outputs[0] y.block: rows that left at exit_head have no value of "
                        "blocks[1]"));
  EXPECT_THAT(Refusal("shape: 3 block: 2", blocks, t), HasSubstr("no value of blocks[2]"));
  for (const std::string block : {"0", "3", "4"}) {
    EXPECT_EQ(Refusal("shape: 3 block: " + block, blocks, t), "");
  }
}

}  // namespace
}  // namespace penstock::expert
