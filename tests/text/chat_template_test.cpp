#include "attune/text/chat_template.h"

#include <gmock/gmock.h>

#include "attune/core/error.h"

#include "tests/text/test_data.h"

namespace attune::text {
namespace {

using nlohmann::json;
using testing::data_folder;
using testing::golden;
using ::testing::HasSubstr;

std::vector<Message> messages_of(const json& list) {
  std::vector<Message> messages;
  for (const json& turn : list) {
    messages.push_back({turn.at("role"), turn.at("content")});
  }
  return messages;
}

std::string refusal(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(ChatTemplate, EveryFamilyWritesWhatJinjaWrites) {
  const json all = golden("text_templates.json");
  for (const json& one : all.at("templates")) {
    const std::string name = one.at("name");
    const ChatTemplate chat = ChatTemplate::named(
        name, one.at("bos").get<std::string>(), one.at("eos").get<std::string>());
    for (const bool prompt : {false, true}) {
      for (size_t i = 0; i < all.at("conversations").size(); ++i) {
        SCOPED_TRACE(name + " conversation " + std::to_string(i));
        const auto messages = messages_of(all.at("conversations")[i]);
        const json& expected = one.at(prompt ? "prompt" : "plain")[i];
        if (expected.is_null()) {
          EXPECT_THROW(chat.render(messages, prompt), Error);
        } else {
          EXPECT_EQ(chat.render(messages, prompt), expected.get<std::string>());
        }
      }
    }
  }
}

TEST(ChatTemplate, IsRecognisedByItsJinjaText) {
  const json all = golden("text_templates.json");
  for (const json& one : all.at("templates")) {
    if (one.contains("jinja")) {
      EXPECT_EQ(ChatTemplate::recognise(one.at("jinja").get<std::string>(), "", "").name(),
                one.at("name"));
    }
  }
}

TEST(ChatTemplate, RealFilesAreRecognisedOrRefusedNeverMistaken) {
  const auto folder = data_folder() / "tokenizers/llama-cpp-vocabs/templates";
  ATTUNE_NEEDS(folder);
  std::map<std::string, std::string> names;
  const json all = golden("text_templates.json");
  for (const json& one : all.at("templates")) {
    if (one.contains("file")) {
      names[one.at("file")] = one.at("name");
    }
  }
  size_t num_known = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    const std::string jinja = read_file(file.path());
    const auto known = names.find(file.path().filename().string());
    if (known == names.end()) {
      EXPECT_THAT(refusal([&] { ChatTemplate::recognise(jinja, "", ""); }),
                  HasSubstr("attune knows"))
          << file.path();
    } else {
      EXPECT_EQ(ChatTemplate::recognise(jinja, "", "").name(), known->second) << file.path();
      ++num_known;
    }
  }
  EXPECT_EQ(num_known, names.size());
}

TEST(ChatTemplate, AChangedTemplateIsNotTakenForItsFamily) {
  const json all = golden("text_templates.json");
  for (const json& one : all.at("templates")) {
    if (one.at("name") == "chatml") {
      std::string jinja = one.at("jinja");
      jinja.replace(jinja.find("message['content']"), 18, "message['content'] | trim");
      EXPECT_THROW(ChatTemplate::recognise(jinja, "", ""), Error);
    }
  }
}

TEST(ChatTemplate, SaysHowToNameOne) {
  EXPECT_THAT(refusal([] { ChatTemplate::recognise("{{ messages }}", "", ""); }),
              HasSubstr("model.chat_template: chatml"));
  EXPECT_THAT(refusal([] { ChatTemplate::recognise("", "", ""); }), HasSubstr("\"none\""));
  EXPECT_THAT(refusal([] { ChatTemplate::recognise("{{ strftime_now('%d') }}", "", ""); }),
              HasSubstr("today's date"));
  EXPECT_THAT(refusal([] { ChatTemplate::named("chatlm", "", ""); }),
              HasSubstr("Did you mean \"chatml\"?"));
  EXPECT_THAT(refusal([] {
                const Message turn{"asistant", ""};
                ChatTemplate::named("chatml", "", "").render({&turn, 1}, true);
              }),
              HasSubstr("Did you mean \"assistant\"?"));
  EXPECT_THAT(refusal([] { ChatTemplate::named("chatml", "", "").render({}, true); }),
              HasSubstr("at least one message"));
}

TEST(ChatTemplate, NoneWritesTheContentsAlone) {
  const std::vector<Message> turns = {{"user", "2 + 3 ="}, {"assistant", " 5"}};
  EXPECT_EQ(ChatTemplate::named("none", "<s>", "</s>").render(turns, true), "2 + 3 = 5");
}

}  // namespace
}  // namespace attune::text
