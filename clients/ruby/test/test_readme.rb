# frozen_string_literal: true

require_relative 'real'
require 'xlreg/cli'

# What the README says to run is run.
class TestReadme < Minitest::Test
  include Real

  FOLDER = File.expand_path('..', __dir__)
  README = File.read(File.join(FOLDER, 'README.md'))
  PATIENCE_OF_OTHERS = 60

  # Each program runs in a folder of its own, as a reader of the README would run it.
  def test_the_programs
    blocks = README.scan(/^```ruby\n(.*?)^```/m).flatten
    assert_equal README.scan('```ruby').size, blocks.size
    with_registry { |registry| blocks.each { |block| run_block(block, registry) } }
  end

  def run_block(block, registry)
    Dir.mktmpdir do |folder|
      owner = Xlreg::Ticket.new_owner(registry.url, 'pair', size: 2)
      other = other_by(owner) if block.include?('XLREG_TICKET')
      plain = { 'XLREG_REGISTRY' => registry.url, 'XLREG_BIN' => Xlreg::TestHelper.program,
                'XLREG_TICKET' => owner.invite.text }
      out, status = Open3.capture2e(plain, Gem.ruby, '-w', '-I', File.join(FOLDER, 'lib'), '-e', block, chdir: folder)
      assert_equal 0, status.exitstatus, "#{block}\n#{out}"
      other&.value
      assert_equal "m0\n", out if other
      check_printed(out) if block.include?("'web', size: 2")
    end
  end

  # Joins as the owner of a cluster.
  def other_by(owner)
    Thread.new { Xlreg.form(owner, node: node(0, endpoints: ['127.0.0.1:7001']), timeout: PATIENCE_OF_OTHERS) }
  end

  # What the example in an open cluster is said to print, apart from the order of the members and their ports.
  def check_printed(out)
    shown = README[/^```text\n(.*?)^```/m, 1]
    assert_equal([like(shown)] * 2, out.scan(/.*\n.*\n/).map { |one| like(one) })
  end

  def like(text) = text.lines.map { |line| line.gsub(/^\d|\d+$/, '') }.sort

  # The indented lines after a heading.
  def commands(heading) = README[/^## #{heading}\n.*?(?=^## |\z)/m].scan(/^    (.*)/).flatten

  # Its commands, in order, with the addresses and folders of this machine. Two others join meanwhile.
  def test_the_command_line
    lines = commands('The command line')
    assert_equal Xlreg::Command.verbs - ['cred show', 'cred url', 'version'], verbs(lines)
    Dir.mktmpdir do |folder|
      with_registry do |registry|
        lines.each { |line| run_line(line, registry, folder) }
      end
    end
  end

  def verbs(lines) = Xlreg::Command.verbs.select { |verb| lines.any? { |line| line.start_with?("xlreg-rb #{verb} ") } }

  def run_line(line, registry, folder)
    others = line.start_with?('xlreg-rb join web') ? Array.new(2) { |i| other(registry, i) } : []
    words = line.gsub('registry.example.org:56789', registry.cred.endpoints.first.to_s)
                .gsub('SHA256:…', registry.cred.fingerprint).gsub('/var/lib/app', folder).split
    command = [Gem.ruby, '-w', '-I', File.join(FOLDER, 'lib'), File.join(FOLDER, 'exe', words[0]), *words.drop(1)]
    out, status = Open3.capture2e(*command, chdir: folder)
    assert_predicate status, :success?, "#{line}\n#{out}"
    others.each(&:join)
  end

  def other(registry, number)
    Thread.new do
      node = node(number, endpoints: ["127.0.0.1:#{7001 + number}"])
      Xlreg.form(registry.url, node: node, cluster: 'web', join_only: true, timeout: PATIENCE_OF_OTHERS)
    end
  end

  # Those for people who work on it are run by the Makefile, or by hand; what they name exists.
  def test_the_commands_for_developers
    named = commands('Working on it').flat_map { |line| line.split('#')[0].scan(%r{\b(?:test|tools)/\w+\.rb|\bsig\b}) }
    assert_equal %w[test/all.rb sig tools/genproto.rb], named
    named.each { |file| assert_path_exists File.join(FOLDER, file) }
  end
end
