#include "attune/text/chat_families.h"

#include "attune/core/error.h"
#include "attune/text/unicode.h"

namespace attune::text {

namespace {

// "user" at even places and nothing else there, as many templates demand.
void check_alternating(std::span<const Message> messages) {
  for (size_t i = 0; i < messages.size(); ++i) {
    check(
        (messages[i].role == "user") == (i % 2 == 0),
        "chat template: roles must alternate user/assistant/user/assistant/..., got \"{}\" as turn "
        "{}.",
        messages[i].role,
        i + 1);
  }
}

// The leading system message, taken off the front; null if there is none.
const Message* take_system(std::span<const Message>& messages) {
  if (messages.front().role != "system") {
    return nullptr;
  }
  const Message* system = &messages.front();
  messages = messages.subspan(1);
  return system;
}

std::string stripped(const std::string& text) {
  return std::string(python_strip(text));
}

std::string chatml_turn(std::string_view role, std::string_view content) {
  return fmt::format("<|im_start|>{}\n{}<|im_end|>\n", role, content);
}

std::string chatml_with_default(const ChatInput& input, std::string_view default_system) {
  std::string text;
  if (!default_system.empty() && input.messages.front().role != "system") {
    text = chatml_turn("system", default_system);
  }
  for (const Message& message : input.messages) {
    text += chatml_turn(message.role, message.content);
  }
  return text + (input.add_generation_prompt ? "<|im_start|>assistant\n" : "");
}

std::string chatml(const ChatInput& input) {
  return chatml_with_default(input, "");
}

std::string smollm2(const ChatInput& input) {
  return chatml_with_default(
      input, "You are a helpful AI assistant named SmolLM, trained by Hugging Face");
}

std::string qwen25(const ChatInput& input) {
  return chatml_with_default(
      input, "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.");
}

std::string deepseek_r1(const ChatInput& input) {
  std::string turns;
  std::string_view system;
  for (const Message& message : input.messages) {
    if (message.role == "system") {
      system = message.content;
    } else if (message.role == "user") {
      turns += "<｜User｜>" + message.content;
    } else {
      // What the model thought aloud is not told again.
      constexpr std::string_view kEnd = "</think>";
      const size_t thought = message.content.rfind(kEnd);
      turns += "<｜Assistant｜>" +
               (thought == std::string::npos ? message.content
                                             : message.content.substr(thought + kEnd.size())) +
               "<｜end▁of▁sentence｜>";
    }
  }
  return fmt::format("{}{}{}{}",
                     input.bos,
                     system,
                     turns,
                     input.add_generation_prompt ? "<｜Assistant｜><think>\n" : "");
}

std::string gemma(const ChatInput& input) {
  check(input.messages.front().role != "system", "chat template: gemma has no system role.");
  check_alternating(input.messages);
  std::string text(input.bos);
  for (const Message& message : input.messages) {
    text += fmt::format("<start_of_turn>{}\n{}<end_of_turn>\n",
                        message.role == "assistant" ? "model" : message.role,
                        python_strip(message.content));
  }
  return text + (input.add_generation_prompt ? "<start_of_turn>model\n" : "");
}

std::string llama2(const ChatInput& input) {
  std::span<const Message> messages = input.messages;
  const Message* system = take_system(messages);
  check_alternating(messages);
  std::string text;
  for (const Message& message : messages) {
    std::string content = message.content;
    if (system != nullptr && &message == &messages.front()) {
      content = "<<SYS>>\n" + system->content + "\n<</SYS>>\n\n" + content;
    }
    text += message.role == "user"
                ? fmt::format("{}[INST] {} [/INST]", input.bos, stripped(content))
                : fmt::format(" {} {}", stripped(content), input.eos);
  }
  return text;
}

std::string llama3_turn(std::string_view role, std::string_view content) {
  return fmt::format("<|start_header_id|>{}<|end_header_id|>\n\n{}<|eot_id|>", role, content);
}

std::string llama3_turns(std::span<const Message> messages, bool add_generation_prompt) {
  std::string text;
  for (const Message& message : messages) {
    text += llama3_turn(message.role, python_strip(message.content));
  }
  return text + (add_generation_prompt ? "<|start_header_id|>assistant<|end_header_id|>\n\n" : "");
}

std::string llama3(const ChatInput& input) {
  return std::string(input.bos) + llama3_turns(input.messages, input.add_generation_prompt);
}

std::string llama31(const ChatInput& input) {
  std::span<const Message> messages = input.messages;
  const Message* system = take_system(messages);
  return std::string(input.bos) +
         llama3_turn("system",
                     "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n" +
                         (system == nullptr ? "" : stripped(system->content))) +
         llama3_turns(messages, input.add_generation_prompt);
}

std::string mistral(const ChatInput& input) {
  check_alternating(input.messages);
  std::string text(input.bos);
  for (const Message& message : input.messages) {
    check(message.role != "system", "chat template: mistral has no system role.");
    text += message.role == "user" ? "[INST] " + message.content + " [/INST]"
                                   : message.content + std::string(input.eos);
  }
  return text;
}

std::string mistral_nemo(const ChatInput& input) {
  std::span<const Message> messages = input.messages;
  const Message* system = take_system(messages);
  check_alternating(messages);
  std::string text(input.bos);
  for (const Message& message : messages) {
    check(message.role != "system",
          "chat template: mistral-nemo takes a system message at the beginning only.");
    if (message.role == "assistant") {
      text += message.content + std::string(input.eos);
    } else if (system != nullptr && &message == &messages.back()) {
      text += "[INST]" + system->content + "\n\n" + message.content + "[/INST]";
    } else {
      text += "[INST]" + message.content + "[/INST]";
    }
  }
  return text;
}

std::string none(const ChatInput& input) {
  std::string text;
  for (const Message& message : input.messages) {
    text += message.content;
  }
  return text;
}

std::string phi3(const ChatInput& input) {
  std::string text;
  for (const Message& message : input.messages) {
    if (message.role != "system" || !message.content.empty()) {
      text += fmt::format("<|{}|>\n{}<|end|>\n", message.role, message.content);
    }
  }
  return text + (input.add_generation_prompt ? "<|assistant|>\n" : std::string(input.eos));
}

std::string zephyr(const ChatInput& input) {
  std::string text;
  for (const Message& message : input.messages) {
    text += fmt::format("<|{}|>\n{}{}\n", message.role, message.content, input.eos);
  }
  return text + (input.add_generation_prompt ? "<|assistant|>\n" : "");
}

}  // namespace

const std::vector<ChatTemplate::Family>& chat_families() {
  static const std::vector<ChatTemplate::Family> families = {
      {"chatml",
       {"<|im_start|>", "<|im_end|>", "<|im_start|>assistant\n", "add_generation_prompt"},
       {"tools", "trim", "strip", "bos_token", "think", "system\n", "'system", "\"system", "eos_"},
       chatml},
      {"deepseek-r1",
       {"{{bos_token}}{{ns.system_prompt}}", "<｜User｜>", "</think>", "<｜Assistant｜><think>\n"},
       {"macro", "strip", "trim"},
       deepseek_r1},
      {"gemma",
       {"{{ bos_token }}", "<start_of_turn>model\n", "System role not supported", "| trim"},
       {"tools"},
       gemma},
      {"llama2",
       {"bos_token + '[INST] '", "<<SYS>>\n", "\n<</SYS>>\n\n", "' [/INST]'"},
       {},
       llama2},
      {"llama3",
       {"<|start_header_id|>", "| trim + '<|eot_id|>'", "bos_token + content", "if add_generation"},
       {"Cutting Knowledge", "tools", "date_string"},
       llama3},
      {"llama3.1",
       {"<|start_header_id|>",
        "Cutting Knowledge Date: December 2023\n",
        "\"26 Jul 2024\"",
        "tools_in_user_message"},
       {"strftime_now"},
       llama31},
      {"mistral",
       {"'[INST] ' + message['content'] + ' [/INST]'", "message['content'] + eos_token"},
       {"<<SYS>>", "system", "eos_token + ' '", "tools"},
       mistral},
      {"mistral-nemo",
       {"[INST]\" + system_message + \"\n\n\" + message[\"content\"] + \"[/INST]\"",
        "message[\"content\"] + eos_token",
        "[TOOL_CALLS]["},
       {"trim", "strip", "[INST] "},
       mistral_nemo},
      {"none", {}, {}, none},
      {"phi3",
       {"<|user|>\n", "<|end|>\n", "<|assistant|>\n", "and message['content']", "eos_token"},
       {"bos_token", "tools"},
       phi3},
      {"qwen2.5",
       {"<|im_start|>assistant\n",
        "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"},
       {"think", "trim", "image", "bos_token"},
       qwen25},
      {"smollm2",
       {"<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
        "Face<|im_end|>\n",
        "<|im_start|>assistant\n",
        "loop.first"},
       {"tools", "trim", "bos_token", "think"},
       smollm2},
      {"zephyr",
       {"<|user|>\n",
        "<|system|>\n",
        "<|assistant|>\n",
        "message['content'] + eos_token",
        "loop.last and add_generation_prompt"},
       {"<|end|>", "bos_token", "trim"},
       zephyr}};
  return families;
}

}  // namespace attune::text
