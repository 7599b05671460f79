# frozen_string_literal: true

require_relative 'fake'

# Credentials as people paste them.
class TestPasted < Minitest::Test
  include Real

  def around
    FakeRegistry.run('2.0') { |fake| return yield fake.cred }
  end

  # What may stand around credentials, with %s for them.
  AROUND = ['%s', "%s\n", "%s\r\n", '  %s  ', "\t%s", "\uFEFF%s", "\uFEFF %s\r\n", '"%s"', "'%s'", '“%s”', '<%s>',
            '`%s`', "\u00A0%s\u00A0", "\n\n\"%s\"\n\n", "XLREG_REGISTRY='%s'", "export XLREG_REGISTRY='%s'\n"].freeze

  def test_a_line
    cred = around(&:itself)
    [*AROUND, '%s'.encode(Encoding::UTF_8)].each do |form|
      assert_equal cred.url, Xlreg::Target.load(form.sub('%s') { cred.url }).url, form.inspect
    end
    wrapped = cred.url.scan(/.{1,30}/).join("\r\n  ")
    assert_equal cred.url, Xlreg::Target.load(wrapped).url
    assert_raises(Xlreg::RegCredError) { Xlreg::Target.load("#{cred.url} and more?") }
  end

  def test_a_file_whatever_is_in_it
    cred = around(&:itself)
    Dir.mktmpdir do |folder|
      path = File.join(folder, 'pasted')
      [cred.url, cred.to_s, cred.to_s.delete("\r")].product(AROUND.first(14)).each do |text, form|
        content = form.sub('%s') { text }
        wide = [Encoding::UTF_16LE, Encoding::UTF_16BE].map { |encoding| "\uFEFF#{content}".encode(encoding) }
        [content, *wide].each do |data|
          File.binwrite(path, data)
          assert_equal cred.fingerprint, Xlreg::Target.load(path).fingerprint, content
        end
      end
      File.write(path, "\uFEFF#{cred}")
      assert_equal cred.id, Xlreg::RegCred.read(path).id
      File.write(path, cred.url)
      assert_match(/holds an xlreg:/, assert_raises(Xlreg::RegCredError) { Xlreg::RegCred.read(path) }.message)
    end
  end

  # The content of a file in place of its name.
  def test_the_content_of_a_file
    cred = around(&:itself)
    assert_equal cred.to_s, Xlreg::Target.load("  #{cred}\n").cred.to_s
  end

  def test_an_address_alone_says_what_to_do
    { 'registry.example:4000' => 'registry.example:4000', '192.0.2.7:4000 ' => '192.0.2.7:4000',
      '[::1]:4000' => '[::1]:4000', "'a.example:1'" => 'a.example:1' }
      .each do |text, address|
      error = assert_raises(Xlreg::RegCredError, text) { Xlreg::Target.load(text) }
      assert_includes error.message, "xlreg cred fetch #{address} --out regCred.dat"
    end
  end

  def test_a_file_that_is_not_there
    ['nowhere', '/no/where', './regCred', 'regCred.dat'].each do |path|
      assert_raises(Errno::ENOENT, path) { Xlreg::Target.load(path) }
    end
    assert_raises(SystemCallError) { Xlreg::Target.load('') }
  end

  # A name is taken as it is where there is such a file.
  def test_a_file_with_a_strange_name
    cred = around(&:itself)
    Dir.mktmpdir do |folder|
      [' regCred.dat ', "'quoted'", 'localhost:4000'].each do |name|
        path = File.join(folder, name)
        File.write(path, cred.to_s)
        Dir.chdir(folder) { assert_equal cred.fingerprint, Xlreg::Target.load(name).fingerprint }
      end
    end
  end
end
