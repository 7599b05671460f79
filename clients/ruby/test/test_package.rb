# frozen_string_literal: true

require_relative 'real'
require_relative '../tools/genproto'

# What is in the package, and that it installs.
class TestPackage < Minitest::Test
  include Real

  FOLDER = File.expand_path('..', __dir__)

  def test_the_generated_file_is_not_stale
    text = File.read(GenProto::TARGET)
    assert_includes text, "SHA-256 of the source: #{GenProto.digest}\n", 'run tools/genproto.rb'
    assert_equal GenProto.text, text, 'run tools/genproto.rb' if system('which', 'protoc', out: File::NULL)
  end

  def test_it_builds_and_installs
    Dir.mktmpdir do |folder|
      gem = File.join(folder, 'xlreg.gem')
      home = File.join(folder, 'home')
      environment = { 'GEM_HOME' => home, 'GEM_PATH' => [home, *Gem.path].join(':') }
      run_gem(environment, 'build', 'xlreg.gemspec', '-o', gem, chdir: FOLDER)
      run_gem(environment, 'install', '--local', '--no-document', gem, chdir: folder)
      script = 'require "xlreg"; print Xlreg::Keys.generate.fingerprint'
      out, status = Open3.capture2(environment, Gem.ruby, '-e', script)
      assert_equal [0, 50], [status.exitstatus, out.size]
      out, status = Open3.capture2(environment, File.join(home, 'bin', 'xlreg-rb'), '--version')
      assert_equal [0, "xlreg-rb #{Xlreg::VERSION}\n"], [status.exitstatus, out]
    end
  end

  def test_what_the_package_says_of_itself
    spec = Gem::Specification.load(File.join(FOLDER, 'xlreg.gemspec'))
    assert_equal [Xlreg::VERSION, 'MIT'], [spec.version.to_s, spec.license]
    refute_empty spec.authors.join
    %w[README.md LICENSE exe/xlreg-rb lib/xlreg.rb sig/xlreg.rbs].each { |file| assert_includes spec.files, file }
    assert_equal File.read(File.join(FOLDER, '../../LICENSE')), File.read(File.join(FOLDER, 'LICENSE'))
    urls = spec.metadata.select { |name, _| name.end_with?('_uri') }
    assert_equal 4, urls.size
    [spec.homepage, *urls.values].each { |url| assert url.start_with?('https://github.com/xlattice/xlreg'), url }
  end

  # There is one number, and nothing else in the package names another.
  def test_one_version
    spec = Gem::Specification.load(File.join(FOLDER, 'xlreg.gemspec'))
    files = spec.files.reject { |file| file.end_with?('lib/xlreg/version.rb', 'pb.rb') }
    said = files.select { |file| File.read(File.join(FOLDER, file)).match?(/xlreg-\d|VERSION = '/) }
    assert_empty said
  end

  def run_gem(environment, *arguments, chdir:)
    out, status = Open3.capture2e(environment, 'gem', *arguments, chdir: chdir)
    assert_predicate status, :success?, out
  end

  def test_the_helper_says_when_there_is_no_program
    given = ENV.fetch('XLREG_BIN', nil)
    ENV['XLREG_BIN'] = '/nowhere'
    assert_match(%r{XLREG_BIN is /nowhere}, assert_raises(Xlreg::NoProgramError) { Xlreg::TestHelper.program }.message)
  ensure
    ENV['XLREG_BIN'] = given
  end

  # Even if the tests are killed, the registry ends with them.
  def test_the_registry_ends_with_who_started_it
    script = '$stdout.sync = true; puts Xlreg::RegistryProcess.new.start.cred.endpoints[0].port; sleep'
    command = [Gem.ruby, '-I', File.join(FOLDER, 'lib'), '-r', 'xlreg/test_helper', '-e', script]
    Dir.mktmpdir do |folder|
      IO.popen({ 'TMPDIR' => folder }, command) { |starter| check_ends_with(starter) }
    end
  end

  def check_ends_with(starter)
    port = Integer(starter.gets, 10)
    held = TCPSocket.new('127.0.0.1', port)
    Process.kill(:KILL, starter.pid)
    assert held.wait_readable(8), 'the registry goes on' # it would wait 10 seconds for a Hello
    held.close
    assert_raises(Errno::ECONNREFUSED) { TCPSocket.new('127.0.0.1', port) }
  end
end
