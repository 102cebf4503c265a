// The example's models against answers that were computed without this code.
#include <cmath>
#include <cstring>
#include <fstream>

#include "expert_service/models/model_repository.h"
#include "gmock/gmock.h"
#include "nlohmann/json.hpp"
#include "tests/expert_service/models/test_models.h"
#include "tests/support/status_matchers.h"

namespace penstock::expert {
namespace {

const std::string kDigits = std::string(PENSTOCK_SOURCE_DIR) + "/examples/digits/";

class DigitsModelsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(models_, ModelRepository::Load(kDigits + "models", {}));
  }
  // Strokes of varying thickness: more like a digit than noise is.
  static std::vector<float> Picture(int seed) {
    std::vector<float> pixels(28 * 28);
    for (int y = 0; y < 28; ++y) {
      for (int x = 0; x < 28; ++x) {
        const float d = std::abs(0.2f * static_cast<float>((x - 14) * (y - 14)) -
                                 static_cast<float>(seed % 7) * 3.0f);
        pixels[28 * y + x] = d < 4 ? 1 - d / 4 : 0;
      }
    }
    return pixels;
  }

  std::unique_ptr<ModelRepository> models_;
};

TEST_F(DigitsModelsTest, ARowIsTheSameBitsAloneAndInAFullBatch) {
  for (const auto& model : models_->models()) {
    SCOPED_TRACE(model->name());
    const int64_t rows = std::min<int64_t>(model->contract().max_rows, 16);
    const std::string& name = model->contract().inputs[0].name;
    std::vector<ModelInputs> requests;
    for (int64_t row = 0; row < rows; ++row) {
      ASSERT_OK_AND_ASSIGN(ModelInputs inputs,
                           model->Accept({FloatTensor(name, {1, 784}, Picture(row))}));
      requests.push_back(std::move(inputs));
    }
    const auto together = RunTogether(*model, requests);
    for (int64_t row = 0; row < rows; ++row) {
      const auto alone = RunTogether(*model, {requests[row]});
      for (size_t output = 0; output < alone[0].size(); ++output) {
        EXPECT_EQ(together[row][output].data, alone[0][output].data) << "row " << row;
      }
    }
  }
}

TEST_F(DigitsModelsTest, GiveProbabilitiesAndTheirLabel) {
  for (const auto& model : models_->models()) {
    SCOPED_TRACE(model->name());
    ASSERT_OK_AND_ASSIGN(
        const ModelInputs inputs,
        model->Accept({FloatTensor(model->contract().inputs[0].name, {1, 784}, Picture(3))}));
    const auto outputs = RunTogether(*model, {inputs});
    ASSERT_OK_AND_ASSIGN(const auto probabilities, ToFloats(outputs[0][0]));
    ASSERT_OK_AND_ASSIGN(const auto label, ToStrings(outputs[0][1]));
    ASSERT_EQ(probabilities.size(), 10u);
    float sum = 0;
    for (const float p : probabilities) sum += p;
    EXPECT_NEAR(sum, 1, 1e-5);
    const auto best = std::max_element(probabilities.begin(), probabilities.end());
    EXPECT_EQ(label[0], std::to_string(best - probabilities.begin()));
  }
}

// Image `index` of the golden answers: in golden.json itself, else in what fetch_data.py wrote.
std::vector<float> GoldenImage(const nlohmann::json& image) {
  if (image.contains("pixels")) return image.at("pixels").get<std::vector<float>>();
  std::ifstream file(std::string(PENSTOCK_SOURCE_DIR) + "/build/digits/heldout.images.f32",
                     std::ios::binary);
  std::vector<float> pixels(784);
  file.seekg(image.at("heldout_row").get<int64_t>() * 784 * 4);
  file.read(reinterpret_cast<char*>(pixels.data()), 784 * 4);
  return file.good() ? pixels : std::vector<float>();
}

TEST_F(DigitsModelsTest, AgreeWithTheGoldenAnswers) {
  std::ifstream file(kDigits + "golden.json");
  ASSERT_TRUE(file.is_open()) << kDigits << "golden.json";
  const nlohmann::json golden = nlohmann::json::parse(file);
  for (const auto& [name, answers] : golden.at("probabilities").items()) {
    SCOPED_TRACE(name);
    ASSERT_OK_AND_ASSIGN(const auto model, models_->Find(name, ""));
    ASSERT_EQ(answers.size(), golden.at("images").size());
    for (size_t i = 0; i < answers.size(); ++i) {
      const std::vector<float> pixels = GoldenImage(golden.at("images")[i]);
      if (pixels.empty())
        GTEST_SKIP() << "the images are not here: run examples/digits/fetch_data.py";
      ASSERT_EQ(pixels.size(), 784u);
      ASSERT_OK_AND_ASSIGN(
          const ModelInputs inputs,
          model->Accept({FloatTensor(model->contract().inputs[0].name, {1, 784}, pixels)}));
      const auto outputs = RunTogether(*model, {inputs});
      // Golden answers are float64; float32 sums over 784 terms and a few layers lose 1e-5 of a
      // logit, and a probability moves by at most a quarter of that.
      EXPECT_THAT(ToFloats(outputs[0][0]),
                  IsOkAndHolds(::testing::Pointwise(::testing::FloatNear(1e-4f),
                                                    answers[i].get<std::vector<float>>())))
          << "image " << i;
    }
  }
}

}  // namespace
}  // namespace penstock::expert
