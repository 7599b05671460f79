# frozen_string_literal: true

module Xlreg
  # Small help with the texts of errors.
  # @api private
  module Text
    module_function

    # @param text [#to_s]
    # @return [String] text in double quotes, in one line, fit for an error's text
    def quote(text)
      text.to_s.dup.force_encoding(Encoding::UTF_8).scrub('?')[0, 120].inspect
    end

    # @param text [String] from a peer
    # @return [String] text without what a terminal might obey
    def printable(text)
      text.dup.force_encoding(Encoding::UTF_8).scrub('?').gsub(/[^[:print:]]/, '?')
    end

    # Puts what was being done before the text of whatever Error passes by.
    # @param what [#to_s]
    def doing(what)
      yield
    rescue Error => e
      raise e.while_doing(what)
    end
  end
end
